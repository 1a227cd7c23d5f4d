"""Untrusted text as one printable line of limited length."""

MAX_LINE_CHARS = 240
MAX_PATH_CHARS = 300
_CHARS_BEFORE, _CHARS_AFTER = 20, 140  # around a match, in an excerpt
_MAX_SCANNED_CHARS = 2000  # after a match: many may be spaces

# Letters and marks by Unicode's classification that are invisible or alter their neighbours.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    + "".join(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)


def printable(text: str, limit: int = MAX_LINE_CHARS) -> str:
    r"""Return `text` as one line of at most `limit` characters.

    Characters that are invisible or change how others appear (control, bidirectional, zero-width,
    private use) become ``\u{hex}``. A tab becomes a space.
    """
    text = text[: limit + 1].replace("\t", " ")  # cut first, which limits the work too
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if _is_visible(c) else f"\\u{{{ord(c):x}}}" for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def excerpt(line: str, at: int) -> str:
    """Return the part of `line` around position `at`, with runs of spaces as one."""
    part = line[max(0, at - _CHARS_BEFORE) : at + _MAX_SCANNED_CHARS]
    return " ".join(part.split())[: _CHARS_BEFORE + _CHARS_AFTER]


def _is_visible(character: str) -> bool:
    return character.isprintable() and character not in _BLANK
