"""The cause of a failed build: the instruction, the engine, the disk or a registry."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.docker.errors import translate
from imageproof.docker.registry_errors import host_of, registry_error
from imageproof.errors import (
    BuildFailed,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
    UsageError,
)
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.build.progress import BuildLog, Vertex

HINT_LOG = "`./inv build --no-cache` runs every step again; `--debug` shows more"
HINT_STEP = "correct that instruction, or the files that it reads, and build again"

_REGISTRY_STEP = re.compile(
    r"pushing |\[internal\] load metadata for |resolve image config for "
    r"|(?:importing|exporting) cache |\[[^\]]*\] FROM "
)
_NOT_FOUND = re.compile(r": not found$|manifest unknown", re.MULTILINE)


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
        action: what is being done, for error messages.
        log: the progress until the failure.
        error: the error of the docker command.
    """
    output = _buildx_error(log)
    buildx_error = translate(action, output, BuildFailed, HINT_LOG) if output else error
    if isinstance(buildx_error, UsageError) and _is_own_step(log.failed_step):
        return buildx_error
    if log.failed_step is not None and not isinstance(buildx_error, EngineUnavailable):
        return _failed_step_error(action, log.failed_step)
    error_is_specific = type(buildx_error) is BuildFailed and type(error) is not BuildFailed
    return error if error_is_specific else buildx_error


def _is_own_step(step: Vertex | None) -> bool:
    """Return whether a step is BuildKit's own, such as an export. Others begin with `[stage`.

    An instruction may contain the text of any error.
    """
    return step is None or not step.name.startswith("[")


def _failed_step_error(action: str, step: Vertex) -> ImageproofError:
    tail = clean_lines("\n".join([*step.log, *step.error.splitlines()[-1:]]))
    # A program in a step can print the text of any error. Only that of a full disk is believed.
    log_error = translate(action, "\n".join([*step.log, step.error]), BuildFailed)
    if isinstance(log_error, NoSpace):
        return log_error
    name = redact(" ".join(step.name.split()))
    if _REGISTRY_STEP.match(step.name):  # a step of BuildKit's own: it runs no program
        if error := registry_error(action, step.error, host_of(f"{step.error}\n{name}")):
            return error
        if _NOT_FOUND.search(step.error):
            hint = "correct the reference in the Dockerfile: its registry has no such image"
            return BuildFailed(action, f"this step failed: {name}", tail=tail, hint=hint)
    if name.startswith("pushing "):
        reason = redact(tail[-1]) if tail else "no reason was given"
        hint = "check the registry's address and `docker login`: this user needs push access"
        return RegistryUnavailable(action, f"{name} failed: {reason}", hint=hint)
    return BuildFailed(action, f"this step failed: {name}", tail=tail, hint=HINT_STEP)


def _buildx_error(log: BuildLog) -> str:
    """Return buildx's last ERROR line and the advice that follows it, the ERROR line at the end.

    `translate` makes the last line of a text the error's cause. Without an ERROR line, return
    all of buildx's text.
    """
    lines = [line for line in log.other_lines if line.strip()]
    positions = [i for i, line in enumerate(lines) if line.startswith("ERROR:")]
    if positions:
        last = positions[-1]
        lines = [*lines[last + 1 :], lines[last]]
    return "\n".join(lines)
