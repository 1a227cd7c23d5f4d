"""Text of images and programs, made safe to show.

Every format passes such text through `clean`, so that it cannot control a terminal, break a table
row or be illegal in XML 1.0. Each format escapes its own markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imageproof.checks import Finding

MAX_CHARACTERS = 500  # an instruction may be a whole script
MIN_BYTES = 1_000_000  # smaller numbers may be counts, seconds, ports or user ids
# Control characters, surrogates, noncharacters, and those that change the writing direction.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """Return the text on one line, with unsafe characters escaped, cut at MAX_CHARACTERS."""
    safe = _UNSAFE.sub(_escape, text)
    return safe if len(safe) <= MAX_CHARACTERS else f"{safe[:MAX_CHARACTERS]}..."


def _escape(match: re.Match[str]) -> str:
    if match[0] in "\n\t":
        return " "
    return match[0].encode("unicode_escape", "surrogatepass").decode()


def comparison(finding: Finding) -> tuple[str, str] | None:
    """Return the expected and the actual value of a finding; None unless it has both.

    Numbers of a million and more are bytes, shown in MB unless rounding hides the difference.
    """
    expected, actual = finding.bound, finding.measured
    if expected is None or actual is None:
        return None
    if isinstance(expected, str) or isinstance(actual, str):
        return _as_text(expected), _as_text(actual)
    if max(expected, actual) < MIN_BYTES:
        return str(expected), str(actual)
    in_mb = f"{expected / 1e6:.1f} MB", f"{actual / 1e6:.1f} MB"
    return in_mb if in_mb[0] != in_mb[1] else (f"{expected:,} bytes", f"{actual:,} bytes")


def _as_text(value: float | str) -> str:
    return clean(str(value)) or "(empty)"


def places(finding: Finding) -> list[tuple[str, str]]:
    """Return the places of a finding, as labels and texts: its file, its instruction or layer."""
    pairs = []
    if finding.file:
        pairs.append(("file", clean(finding.file)))
    if finding.instruction:
        pairs.append(("made by", clean(finding.instruction)))
    elif finding.layer:
        pairs.append(("layer", clean(finding.layer)))
    return pairs


def details(finding: Finding) -> list[str]:
    """Return the lines below a finding's message: expected beside actual, then its places."""
    values = comparison(finding)
    compared = [f"expected: {values[0]}  actual: {values[1]}"] if values else []
    return compared + [f"{label}: {text}" for label, text in places(finding)]
