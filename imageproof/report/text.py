"""Text from images and programs that somebody else made, as it may be shown.

Every format shows text through `clean`: nothing of it may steer a terminal, break a line of a
table, or be illegal in XML 1.0. What belongs to a format alone (markup, quotes) is escaped there.
"""

from __future__ import annotations

import re

LONGEST = 500  # characters of one text: an instruction may be a whole script
# Control characters, half characters, and those that turn the direction of writing.
_UNSHOWN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """The text in one line, with what must not be shown as its escape; cut where it is long."""
    shown = _UNSHOWN.sub(_escape, text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def _escape(match: re.Match[str]) -> str:
    if match[0] in "\n\t":
        return " "
    return match[0].encode("unicode_escape", "surrogatepass").decode()
