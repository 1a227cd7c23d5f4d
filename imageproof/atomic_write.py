"""Atomic file writes: readers see the old content or the new one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from imageproof.errors import ImageproofError, NoSpace, UsageError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically; create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_report(path: Path, text: str, action: str, hint: str) -> None:
    """Write a file that the user named. If this fails, an old file keeps its content.

    A link is followed, and a device or pipe is written to. The folder must exist.

    Args:
        path: the file.
        text: its content.
        action: what is being done, for error messages.
        hint: what to do if the file cannot be written.

    Raises:
        NoSpace: the disk is full.
        UsageError: the file cannot be written.
    """
    try:
        _replace(path, text.encode())
    except OSError as error:
        raise write_error(error, action, hint) from error


def write_error(error: OSError, action: str, hint: str) -> ImageproofError:
    """Return NoSpace for a full disk, UsageError with the hint for another cause."""
    if error.errno in _DISK_FULL:
        return NoSpace(
            action,
            "no space is left on its disk",
            hint="`df -h` shows the full disk; or name a place on another one with --output",
        )
    return UsageError(action, error.strerror or str(error), hint=hint)


def _replace(path: Path, content: bytes) -> None:
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        path.write_bytes(content)  # such as /dev/stdout: a device, a pipe or an open file
        return
    target = path.resolve()
    is_new = not target.exists()
    # With the mode that the umask gives; a file that may not be written is refused.
    target.open("ab").close()
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(stat.S_IMODE(target.stat().st_mode))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        if is_new:
            target.unlink(missing_ok=True)
        raise
