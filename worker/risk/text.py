"""What strangers wrote, as one bounded line that can be shown."""

LINE_CHARS = 240
PATH_CHARS = 300
_BEFORE, _AFTER = 20, 140  # characters of a line that are shown around what was found in it
_WITHIN = 2000  # characters of a line after it that are looked at: they may be spaces

# Letters and marks by Unicode's account that show nothing, or alter what stands beside them.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    + "".join(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)


def printable(text: str, limit: int = LINE_CHARS) -> str:
    r"""Return `text` as one line of at most `limit` characters.

    What does not show, or would change how the rest shows (control, bidirectional, zero-width,
    private), is written as ``\u{hex}``. A tab becomes a space.
    """
    text = text[: limit + 1].replace("\t", " ")  # cut first, so that the work is bounded too
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if _shows(c) else f"\\u{{{ord(c):x}}}" for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def excerpt(line: str, at: int) -> str:
    """Return the part of `line` around position `at`, with one space for many."""
    return " ".join(line[max(0, at - _BEFORE) : at + _WITHIN].split())[: _BEFORE + _AFTER]


def _shows(character: str) -> bool:
    return character.isprintable() and character not in _BLANK
