"""Text of images and programs, made safe to show.

Every format passes such text through `clean`: it must not steer a terminal, break a table row or be
illegal in XML 1.0. Each format escapes its own markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imageproof.checks import Finding

MAX_LENGTH = 500  # characters: an instruction may be a whole script
MIN_GROUPED = 1_000_000  # smaller numbers, such as ports and user ids, have no separators
# Control characters, surrogates, noncharacters, and those that change the writing direction.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """Return the text on one line, with unsafe characters escaped, cut at MAX_LENGTH."""
    safe = _UNSAFE.sub(_escape, text)
    return safe if len(safe) <= MAX_LENGTH else f"{safe[:MAX_LENGTH]}..."


def _escape(match: re.Match[str]) -> str:
    if match[0] in "\n\t":
        return " "
    return match[0].encode("unicode_escape", "surrogatepass").decode()


def comparison(finding: Finding) -> tuple[str, str] | None:
    """Return the expected and the actual value of a finding; None unless it has both."""
    if finding.bound is None or finding.measured is None:
        return None
    return _value(finding.bound), _value(finding.measured)


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return clean(value) or "(empty)"
    return f"{value:,}" if abs(value) >= MIN_GROUPED else str(value)


def places(finding: Finding) -> list[str]:
    """Return where a finding is: its file, and the instruction or layer that brought it."""
    lines = []
    if finding.file:
        lines.append(f"file: {clean(finding.file)}")
    if finding.instruction:
        lines.append(f"made by: {clean(finding.instruction)}")
    elif finding.layer:
        lines.append(f"layer: {clean(finding.layer)}")
    return lines


def details(finding: Finding) -> list[str]:
    """Return the lines below a finding's message: expected beside actual, then its places."""
    values = comparison(finding)
    compared = [f"expected: {values[0]}  actual: {values[1]}"] if values else []
    return compared + places(finding)
