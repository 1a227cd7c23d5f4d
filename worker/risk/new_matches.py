"""Matches of a pattern in added lines, without those that were only moved or indented."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from worker.change import FileChange

# A keyword that continues an expression after a string, or begins one after `*`.
_OPERATORS = r"(?:in|instanceof|of|as|from)\b"
_UNARY = r"(?:typeof|void|new|await|delete|yield|async|function|class)\b"
# A line that is no code wherever it stands: after `*`, two plain words are a syntax error.
_REMARK = re.compile(
    rf"\s{{0,200}}+(?://|/\*|\*\s{{0,40}}+(?:$|@[a-z]|(?!{_OPERATORS}|{_UNARY})[A-Za-z]{{1,40}}+ "
    rf"(?!{_OPERATORS})[A-Za-z]))"
)
_ENDS_REMARK = re.compile(r"\*/|\$\{|[\r\u2028\u2029](?!$)")
# It would close a string or template that began on an earlier line; a word after it is an error.
_CLOSING_QUOTES = tuple(
    re.compile(rf"[^{quote}]*+{quote}(?:(?!\w)|{_OPERATORS})") for quote in "\"'`"
)


@dataclass(frozen=True)
class NewMatch:
    """A match in an added line; `line` is the whole line, `at` the match's position in it."""

    number: int
    line: str
    at: int
    match: re.Match[str]
    in_comment: bool  # the whole line is a comment


class _Removed:
    """Matches in removed lines. Each cancels one match of at most its own weight."""

    def __init__(self, pattern: re.Pattern[str], lines: tuple[str, ...]) -> None:
        self._in_comment: Counter[str] = Counter()
        self._in_code: Counter[str] = Counter()
        found = _Lines(lines)
        for match in pattern.finditer(found.text):
            _, _, in_comment = found.at(match.start())
            (self._in_comment if in_comment else self._in_code)[_normalized(match)] += 1

    def cancel(self, text: str, *, in_comment: bool) -> bool:
        """Return whether a removed match cancels an added one, and use it up."""
        for counter in (self._in_comment, self._in_code) if in_comment else (self._in_code,):
            if counter[text] > 0:
                counter[text] -= 1
                return True
        return False


class _Lines:
    """Lines as one text, and the line at a position. Positions are queried in rising order."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.text = "\n".join(lines)
        self._lines = lines
        self._starts: list[int] = []
        self._last = (-1, 0, False)

    def at(self, position: int) -> tuple[int, int, bool]:
        """Return the line's index, its start, and whether it is a comment."""
        if not self._starts:  # computed late, because most files have no match
            self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=0))
        index = bisect_right(self._starts, position) - 1
        if index != self._last[0]:  # once a line, because it may search the whole line
            self._last = index, self._starts[index], is_comment(self._lines[index])
        return self._last


def new_matches(
    file: FileChange, pattern: re.Pattern[str], *, all_in_line: bool = False
) -> Iterator[NewMatch]:
    """Yield the matches in added lines that are not in the file's removed lines.

    A match in a removed line cancels one match with the same text in an added line, but one in a
    comment only cancels one in a comment. Spaces, the kind of quotes, and `node:` before a
    module's name make no difference.

    Args:
        file: the file.
        pattern: the pattern.
        all_in_line: yield all matches of a line, not only the first.
    """
    added = _Lines([line for _, line in file.added_lines])
    removed: _Removed | None = None
    last_index = -1
    for match in pattern.finditer(added.text):
        removed = removed or _Removed(pattern, file.removed_lines)
        index, start, in_comment = added.at(match.start())
        if removed.cancel(_normalized(match), in_comment=in_comment):
            continue
        if all_in_line or index != last_index:
            last_index = index
            number, line = file.added_lines[index]
            yield NewMatch(number, line, match.start() - start, match, in_comment)


def is_comment(line: str) -> bool:
    """Return whether a line is a comment wherever it stands in a file of code; in doubt, it is not.

    The lines around it are unknown, or could change in the next version. So a line after which a
    template, a string or a comment could end counts as code.
    """
    return (
        _REMARK.match(line) is not None
        and _ENDS_REMARK.search(line) is None
        and not any(quote.match(line) for quote in _CLOSING_QUOTES)
    )


def _normalized(match: re.Match[str]) -> str:
    return "".join(match.group().split()).replace("node:", "").replace("'", '"')
