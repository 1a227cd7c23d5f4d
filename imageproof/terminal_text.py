"""Text from other programs, made safe to print on a terminal."""

from __future__ import annotations

import re

# Escape sequences (ECMA-48) and control characters. Compose writes some without a terminal too.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")


def strip_escapes(line: str) -> str:
    """Return a line without escape sequences, control characters and trailing blanks."""
    return _ESCAPE.sub("", line).rstrip()


def clean_lines(text: str | None) -> list[str]:
    """Return the non-empty lines of a text, without escape sequences."""
    return [line for raw in (text or "").splitlines() if (line := strip_escapes(raw))]
