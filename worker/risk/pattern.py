"""Signals that are patterns in added lines of code.

An attacker may write long lines that are slow to match, so each repetition in a pattern is limited
or possessive. Python's `re` skips quickly to the next possible start if each alternative begins
with a literal character, so `words` checks the character before the word after it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import INACTIVE_SHARE, code_files
from worker.risk.new_matches import new_matches
from worker.risk.signal import Observation, signal
from worker.risk.text import excerpt


@dataclass(frozen=True)
class Pattern:
    """One pattern of a signal."""

    description: str  # in the findings
    regex: re.Pattern[str]
    share: float = 1.0  # of the signal's weight


PATTERNS: dict[str, tuple[Pattern, ...]] = {}
"""The patterns of each signal that `pattern_signal` registered, by id."""


def any_of(*alternatives: str) -> re.Pattern[str]:
    """Return one expression for all alternatives, in which ``$`` matches at line ends too."""
    return re.compile("|".join(alternatives), re.MULTILINE)


def words(texts: str, then: str = "", *, not_after: str = r"\w") -> str:
    """Return an expression for each of `texts` (separated by spaces), followed by `then`.

    Args:
        texts: literal words.
        then: an expression.
        not_after: expression for one character that must not stand before the word.
    """
    return "|".join(f"{word}(?<!{not_after}{word}){then}" for word in map(re.escape, texts.split()))


def pattern_signal(id_: str, weight: float, *patterns: Pattern, title: str, why: str) -> None:
    """Register a signal that any of `patterns` in an added line of code triggers."""
    PATTERNS[id_] = patterns

    @signal(id_, weight, title=title, why=why)
    def detect(change: Change, _: datetime) -> Iterator[Observation]:
        for file, share in code_files(change):
            yield from search(file, id_, share)


def search(file: FileChange, id_: str, share: float = 1.0) -> Iterator[Observation]:
    """Yield the matches of a signal's patterns in one file; in comments they weigh less."""
    for pattern in PATTERNS[id_]:
        for new in new_matches(file, pattern.regex):
            yield Observation(
                f"{pattern.description}: {excerpt(new.line, new.at)}",
                file.path,
                new.number,
                share * pattern.share * (INACTIVE_SHARE if new.in_comment else 1.0),
            )
