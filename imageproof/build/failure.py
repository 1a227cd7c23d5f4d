"""The cause of a failed build: the instruction, the engine, the disk or a registry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.docker.errors import translate
from imageproof.errors import (
    BuildFailed,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
)
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.build.progress import BuildLog, Vertex

HINT_LOG = "`./inv build --no-cache` runs every step again; `--debug` shows more"


@contextlib.contextmanager
def explaining_failure(action: str, log: BuildLog) -> Iterator[None]:
    """Raise an error that names the failed instruction and the last lines of its output."""
    try:
        yield
    except ImageproofError as error:
        raise explain(action, log, error) from error


def explain(action: str, log: BuildLog, error: ImageproofError) -> ImageproofError:
    """Return the error that the build log describes, or `error` if the log says no more.

    Args:
        action: what was being done.
        log: the progress until the failure.
        error: the error that python-on-whales' exception was translated into.
    """
    output = _buildx_error(log)
    by_output = translate(action, output, BuildFailed, HINT_LOG) if output else error
    step = log.failed
    if step is None or isinstance(by_output, EngineUnavailable):
        error_is_specific = type(by_output) is BuildFailed and type(error) is not BuildFailed
        return error if error_is_specific else by_output
    return _failed_step(action, step)


def _failed_step(action: str, step: Vertex) -> ImageproofError:
    tail = clean_lines("\n".join([*step.log, *step.error.splitlines()[-1:]]))
    # A program in a step can print anything. Only a full disk is taken for this machine's error.
    by_log = translate(action, "\n".join([*step.log, step.error]), BuildFailed)
    if isinstance(by_log, NoSpace):
        return by_log
    name = redact(" ".join(step.name.split()))
    if name.startswith("pushing "):
        reason = redact(tail[-1]) if tail else "no reason was given"
        hint = "check the registry's address and `docker login`: this user needs push access"
        return RegistryUnavailable(action, f"{name} failed: {reason}", hint=hint)
    return BuildFailed(action, f"this step failed: {name}", tail=tail, hint=HINT_LOG)


def _buildx_error(log: BuildLog) -> str:
    """Return the text from buildx's last ERROR line on, with that line last.

    Advice follows the error, but the last line of a text becomes the cause (`translate`).
    """
    lines = [line for line in log.other_lines if line.strip()]
    at = max((i for i, line in enumerate(lines) if line.startswith("ERROR:")), default=-1)
    return "\n".join([*lines[at + 1 :], lines[at]]) if lines else ""
