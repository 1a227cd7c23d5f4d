"""Statuses of results: order, glyphs, and the number of results with each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imageproof.verify.judge import Result, Verdict


class Look(NamedTuple):
    """Glyph and terminal colour of a status."""

    glyph: str
    style: str


LOOKS = {
    "pass": Look("✓", "green"),
    "warning": Look("!", "yellow"),
    "fail": Look("✗", "red"),
    "unknown": Look("?", "yellow"),
    "waived": Look("~", "yellow"),
    "not run": Look("-", "dim"),
}
WORST_FIRST = ("fail", "unknown", "warning", "waived", "pass", "not run")


def sort_worst_first(results: Iterable[Result]) -> list[Result]:
    """Return the results by severity, then by check id."""
    return sorted(results, key=lambda result: (WORST_FIRST.index(result.status), result.check.id))


def by_subject(verdict: Verdict) -> dict[str, list[Result]]:
    """Return the results of each subject, in the verdict's order."""
    groups: dict[str, list[Result]] = {}
    for result in verdict.results:
        groups.setdefault(result.subject, []).append(result)
    return groups


def counts(verdict: Verdict) -> dict[str, int]:
    """Return the number of results of each status."""
    statuses: list[str] = [result.status for result in verdict.results]
    return {status: statuses.count(status) for status in LOOKS}


def headline(verdict: Verdict) -> str:
    """Return the verdict in a few words: `passes`, or the number of violations."""
    if verdict.passes:
        return "passes"
    numbers = counts(verdict)
    violations, unknown = numbers["fail"], numbers["unknown"]
    parts = [f"{violations} violation{'' if violations == 1 else 's'}"] if violations else []
    if unknown:
        parts.append(f"{unknown} unknown")
    return ", ".join(parts) or "no check ran"


def count_line(verdict: Verdict) -> str:
    """Return the number of results of each status that occurs, on one line."""
    numbers = counts(verdict)
    order = ("pass", "not run", "waived", "warning", "unknown", "fail")  # what matters comes last
    parts = [f"{numbers[status]} {status}" for status in order if numbers[status]]
    return ", ".join(parts) or "no check ran"
