"""Text files and JSON under bounds, so that no file exhausts this machine or this program."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from imageproof.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20  # of a file that people write
MAX_LOCK_BYTES = 1 << 26  # of a file that a program writes
MAX_DEPTH = 100  # of lists and tables in each other; real documents have ten


def read_bytes(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return a file's content.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has more than `max_bytes`, or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device may have no end
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return content


def read_text(path: Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return a file's text; raise as `read_bytes`, and ValueError for invalid UTF-8."""
    return read_bytes(path, max_bytes).decode("utf-8").replace("\r\n", "\n")


def read_project_text(path: Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return the text of one of the project's files. Raises ConfigurationError."""
    try:
        return read_text(path, max_bytes)
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"reading {path}", f"{cause}", hint="correct the file") from error


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: The text is invalid, or nested more than MAX_DEPTH deep.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    require_depth(document)
    return document


def require_depth(document: Any) -> None:
    """Raise ValueError if lists and tables are nested more than MAX_DEPTH deep."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [value for value in level if isinstance(value, dict | list)]
        if not level:
            return
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"lists and tables are nested more than {MAX_DEPTH} deep")
