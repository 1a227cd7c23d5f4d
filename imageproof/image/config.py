"""An image's configuration and history, as the engine or an archive gives them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageproof.errors import StackFailed
from imageproof.image.facts import Healthcheck, ImageFacts, Layer
from imageproof.image.tar import printable
from imageproof.redaction import redact

# Instructions that change an image's configuration only (Dockerfile reference).
METADATA = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD"}
    | {"SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)


@dataclass(frozen=True)
class Steps:
    """What made an image: all of its history, and the instruction of each layer ("": unknown)."""

    history: tuple[str, ...]
    made: tuple[str, ...]


def steps_of(document: Any, count: int) -> Steps:
    """By a configuration, which says what made no layer. Raises StackFailed."""
    try:
        steps = [
            (clean_instruction(_text(step.get("created_by"))), bool(step.get("empty_layer")))
            for step in _list(document.get("history"))
        ]
    except (AttributeError, TypeError) as error:
        raise _not_a_configuration("an image", error) from error
    return _steps([text for text, _ in steps], [text for text, empty in steps if not empty], count)


def steps_told(created: Sequence[str], count: int) -> Steps:
    """By `docker history`, which does not say what made no layer."""
    history = list(map(clean_instruction, created))
    return _steps(history, [t for t in history if t.partition(" ")[0] not in METADATA], count)


def _steps(history: Sequence[str], made: Sequence[str], count: int) -> Steps:
    """Without what made a layer where history and layers do not agree: builders may leave it out.
    An argument in an instruction may be a secret, and findings show it."""
    known = map(redact, made) if len(made) == count else [""] * count
    return Steps(tuple(history), tuple(known))


def clean_instruction(created_by: str) -> str:
    """A history entry as a person wrote it: no shell in front, no BuildKit mark behind."""
    text = re.sub(r"^/bin/sh -c #\(nop\) +", "", created_by)
    text = re.sub(r"^(?:RUN )?/bin/sh -c ", "RUN ", text)
    return printable(" ".join(text.removesuffix(" # buildkit").split()))


def from_inspect(
    reference: str, inspected: Mapping[str, Any], history: Sequence[str], layers: Sequence[Layer]
) -> ImageFacts:
    """Facts out of `docker image inspect` (the engine's API) and the layers that were read.

    Raises StackFailed for a configuration of another shape than the specification's.
    """
    identity = inspected.get("Id", "")
    return _facts(reference, identity, inspected.get("Config"), history, layers)


def from_blob(
    reference: str, identity: str, document: Any, history: Sequence[str], layers: Sequence[Layer]
) -> ImageFacts:
    """Facts out of an image configuration (OCI image spec, config.md). Raises StackFailed."""
    if not isinstance(document, dict):
        raise _not_a_configuration(reference, f"a {type(document).__name__}")
    return _facts(reference, identity, document.get("config"), history, layers)


def _not_a_configuration(reference: str, error: object) -> StackFailed:
    return StackFailed(
        f"reading the configuration of {reference}",
        f"it is not one that the OCI image specification knows: {printable(str(error))[:200]}",
        hint="the image was not made by a working builder: build or fetch it anew",
    )


def _facts(
    reference: str, identity: str, config: Any, history: Sequence[str], layers: Sequence[Layer]
) -> ImageFacts:
    try:
        config = _table(config)
        return ImageFacts(
            reference=reference,
            identity=identity,
            user=_text(config.get("User")),
            entrypoint=_texts(config.get("Entrypoint")),
            command=_texts(config.get("Cmd")),
            environment=_environment(config.get("Env")),
            labels={_text(k): _text(v) for k, v in _table(config.get("Labels")).items()},
            ports=tuple(map(_text, _table(config.get("ExposedPorts")))),
            volumes=tuple(map(_text, _table(config.get("Volumes")))),
            workdir=_text(config.get("WorkingDir")),
            stop_signal=_text(config.get("StopSignal")),
            healthcheck=_healthcheck(_table(config.get("Healthcheck"))),
            history=tuple(history),
            layers=tuple(layers),
        )
    except TypeError as error:
        raise _not_a_configuration(reference, error) from error


# What is not there is null in one engine's answer, and left out in another's.


def _text(value: Any) -> str:
    if not isinstance(value, str | None):
        raise TypeError(f"a text is {value!r}")
    return printable(value or "")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | None):
        raise TypeError(f"a list is {value!r}")
    return value or []


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | None):
        raise TypeError(f"a table is {value!r}")
    return value or {}


def _number(value: Any) -> float:
    known = isinstance(value, int | float | None) and math.isfinite(value or 0)
    if not known or (value or 0) < 0:
        raise TypeError(f"a number is {value!r}")
    return value or 0


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _environment(value: Any) -> dict[str, str]:
    pairs = (item.partition("=") for item in _texts(value))
    return {name: text for name, _, text in pairs}


def _healthcheck(config: Mapping[str, Any]) -> Healthcheck | None:
    """Docker's defaults where the image names no time: 30 s, 30 s, 3 (Dockerfile reference)."""
    test = _texts(config.get("Test"))
    if test in ((), ("NONE",)):
        return None
    return Healthcheck(
        test=test,
        interval=(_number(config.get("Interval")) or 30e9) / 1e9,
        timeout=(_number(config.get("Timeout")) or 30e9) / 1e9,
        retries=int(_number(config.get("Retries")) or 3),
    )
