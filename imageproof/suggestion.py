"""Suggestion of the right word for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SIMILARITY = 0.75  # of 1; below it, words that differ by more than a typo are suggested


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a question with the nearest of `words`, to begin a hint with; "" if none is near."""
    matches = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=SIMILARITY)
    return f"did you mean `{matches[0]}`? " if matches else ""
