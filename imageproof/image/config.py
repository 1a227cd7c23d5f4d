"""Configuration and build history of an image, from the engine or an image configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageproof.errors import ImageDamaged
from imageproof.image.facts import Healthcheck, ImageFacts, Layer
from imageproof.image.tar import printable
from imageproof.redaction import redact

# Source: Dockerfile reference.
INSTRUCTIONS_WITHOUT_LAYER = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD"}
    | {"SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)
NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class BuildHistory:
    """All instructions of an image's history, and the instruction of each layer ("": unknown).

    Findings show `by_layer`, so its secrets are redacted.
    """

    instructions: tuple[str, ...]
    by_layer: tuple[str, ...]


def history_from_config(document: Any, layer_count: int) -> BuildHistory:
    """Return the build history from an image configuration, which marks empty layers.

    Raises:
        ImageDamaged: The configuration is invalid.
    """
    try:
        steps = [
            (clean_instruction(_text(step.get("created_by"))), bool(step.get("empty_layer")))
            for step in _list(document.get("history"))
        ]
    except (AttributeError, TypeError) as error:
        raise _invalid("an image", error) from error
    instructions = [text for text, _ in steps]
    return _history(instructions, [text for text, empty in steps if not empty], layer_count)


def history_from_engine(created_by: Sequence[str], layer_count: int) -> BuildHistory:
    """Return the build history from `docker history`, which does not mark empty layers."""
    instructions = list(map(clean_instruction, created_by))
    by_layer = [
        text for text in instructions if text.partition(" ")[0] not in INSTRUCTIONS_WITHOUT_LAYER
    ]
    return _history(instructions, by_layer, layer_count)


def _history(
    instructions: Sequence[str], by_layer: Sequence[str], layer_count: int
) -> BuildHistory:
    if len(by_layer) != layer_count:  # builders may omit history
        by_layer = [""] * layer_count
    return BuildHistory(tuple(instructions), tuple(map(redact, by_layer)))


def clean_instruction(created_by: str) -> str:
    """Return a history entry as its Dockerfile has it, without shell prefix and BuildKit suffix."""
    text = re.sub(r"^/bin/sh -c #\(nop\) +", "", created_by)
    text = re.sub(r"^(?:RUN )?/bin/sh -c ", "RUN ", text)
    return printable(" ".join(text.removesuffix(" # buildkit").split()))


def facts_from_inspect(
    reference: str, inspected: Mapping[str, Any], history: Sequence[str], layers: Sequence[Layer]
) -> ImageFacts:
    """Return facts from `docker image inspect` (the engine's API) and the layers.

    Raises:
        ImageDamaged: The configuration is invalid.
    """
    identity = inspected.get("Id", "")
    return _facts(reference, identity, inspected.get("Config"), history, layers)


def facts_from_config(
    reference: str, identity: str, document: Any, history: Sequence[str], layers: Sequence[Layer]
) -> ImageFacts:
    """Return facts from an image configuration (OCI image spec, config.md) and the layers.

    Raises:
        ImageDamaged: The configuration is invalid.
    """
    if not isinstance(document, dict):
        raise _invalid(reference, f"a {type(document).__name__}")
    return _facts(reference, identity, document.get("config"), history, layers)


def _invalid(reference: str, error: object) -> ImageDamaged:
    return ImageDamaged(
        f"reading the configuration of {reference}",
        "it does not follow the OCI image specification: " + printable(str(error))[:200],
        hint="build or fetch the image again, with another builder if it stays invalid",
    )


def _facts(
    reference: str,
    identity: str,
    config_value: Any,
    history: Sequence[str],
    layers: Sequence[Layer],
) -> ImageFacts:
    try:
        config = _table(config_value)
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
        raise _invalid(reference, error) from error


# Conversions of untrusted values: TypeError for another type. Engines omit a missing value or write
# null.


def _text(value: Any) -> str:
    if not isinstance(value, str | None):
        raise TypeError(f"expected a string, got {value!r}")
    return printable(value or "")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | None):
        raise TypeError(f"expected a list, got {value!r}")
    return value or []


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | None):
        raise TypeError(f"expected a table, got {value!r}")
    return value or {}


def _number(value: Any) -> float:
    number = 0 if value is None else value
    if not isinstance(number, int | float) or not math.isfinite(number) or number < 0:
        raise TypeError(f"expected a number of at least 0, got {value!r}")
    return number


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _environment(value: Any) -> dict[str, str]:
    pairs = (item.partition("=") for item in _texts(value))
    return {name: text for name, _, text in pairs}


def _healthcheck(config: Mapping[str, Any]) -> Healthcheck | None:
    """Convert a health check. 0 means Docker's default: 30 s, 30 s, 3 (Dockerfile reference)."""
    test = _texts(config.get("Test"))
    if test in ((), ("NONE",)):
        return None
    return Healthcheck(
        test=test,
        interval=_number(config.get("Interval")) / NANOSECONDS_PER_SECOND or 30,
        timeout=_number(config.get("Timeout")) / NANOSECONDS_PER_SECOND or 30,
        retries=int(_number(config.get("Retries")) or 3),
    )
