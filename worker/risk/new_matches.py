"""Matches of a pattern in added lines, without those that were only moved or indented."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from worker.change import FileChange


@dataclass(frozen=True)
class NewMatch:
    """A match in an added line; `line` is the whole line, `at` the match's position in it."""

    number: int
    line: str
    at: int
    match: re.Match[str]
    in_comment: bool  # the whole line is a comment


def new_matches(
    file: FileChange, pattern: re.Pattern[str], *, all_in_line: bool = False
) -> Iterator[NewMatch]:
    """Yield the matches in added lines that are not in the file's removed lines.

    A match in a removed line cancels one match with the same text in an added line. Spaces, the
    kind of quotes, and `node:` before a module's name make no difference.

    Args:
        file: the file.
        pattern: the pattern.
        all_in_line: yield all matches of a line, not only the first.
    """
    text = "\n".join(line for _, line in file.added_lines)
    removed: Counter[str] | None = None
    line_starts: list[int] = []
    last_index = -1
    in_comment = False
    for match in pattern.finditer(text):
        if removed is None:  # computed late, because most files have no match
            removed = Counter(
                _normalized(m) for m in pattern.finditer("\n".join(file.removed_lines))
            )
            lengths = (len(line) + 1 for _, line in file.added_lines)
            line_starts = list(accumulate(lengths, initial=0))
        if removed[_normalized(match)] > 0:
            removed[_normalized(match)] -= 1
            continue
        index = bisect_right(line_starts, match.start()) - 1
        number, line = file.added_lines[index]
        is_first = index != last_index
        if is_first:
            last_index = index
            in_comment = is_comment(line)  # once a line, because it may search the whole line
        if all_in_line or is_first:
            yield NewMatch(number, line, match.start() - line_starts[index], match, in_comment)


def is_comment(line: str) -> bool:
    """Return whether the whole line of code is a comment."""
    start = line[:200].lstrip()
    return start.startswith("//") or (start.startswith(("*", "/*")) and "*/" not in line)


def _normalized(match: re.Match[str]) -> str:
    return "".join(match.group().split()).replace("node:", "").replace("'", '"')
