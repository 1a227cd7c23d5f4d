"""Signals that are patterns in new lines of code.

The patterns are read over text that somebody may have made to be slow to read, in lines of any
length: each repetition in them is bounded or possessive. Where each alternative begins with a
letter, Python's `re` skips quickly to the next place where one may begin; hence `words`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import ASIDE, is_remark, news, sources
from worker.risk.signal import Seen, signal
from worker.risk.text import excerpt


@dataclass(frozen=True)
class Pattern:
    """One thing to look for, in the words that a finding shows."""

    what: str
    regex: re.Pattern[str]
    share: float = 1.0  # of the signal's weight


PATTERNS: dict[str, tuple[Pattern, ...]] = {}
"""The patterns of each signal that was made by `patterns`."""


def any_of(*alternatives: str) -> re.Pattern[str]:
    """Return one expression that finds any of these, at the end of lines too for ``$``."""
    return re.compile("|".join(alternatives), re.MULTILINE)


def words(texts: str, then: str = "", *, not_after: str = r"\w") -> str:
    """Return an expression for each of `texts` (between spaces), with `then` after it.

    Args:
        texts: literal words.
        then: an expression.
        not_after: what may not stand before the word, as an expression of one character.
    """
    return "|".join(f"{word}(?<!{not_after}{word}){then}" for word in map(re.escape, texts.split()))


def patterns(id_: str, weight: float, *parts: Pattern, title: str, why: str) -> None:
    """Register a signal that is any of `parts` in a new line of code."""
    PATTERNS[id_] = parts

    @signal(id_, weight, title=title, why=why)
    def look(change: Change, _: datetime) -> Iterator[Seen]:
        for file, share in sources(change):
            yield from search(file, id_, share)


def search(file: FileChange, id_: str, share: float = 1.0) -> Iterator[Seen]:
    """Yield what a signal's patterns find in the new lines of one file; remarks count less."""
    for pattern in PATTERNS[id_]:
        for new in news(file, pattern.regex):
            yield Seen(
                f"{pattern.what}: {excerpt(new.line, new.at)}",
                file.path,
                new.number,
                share * pattern.share * (ASIDE if is_remark(new.line) else 1.0),
            )
