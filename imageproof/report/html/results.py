"""The sections of results: violations, warnings and waivers; passes and checks not run, folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.report.html.markup import badge, code, css_class, prose, text
from imageproof.report.text import comparison, places

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.verify.judge import Result, Verdict

NumberedResult = tuple[int, "Result"]  # the number is part of its anchor
SECTIONS = (
    ("violations", "Violations", ("fail", "unknown")),
    ("warnings", "Warnings", ("warning",)),
    ("waived", "Waived", ("waived",)),
)


def anchor(number: int) -> str:
    """Return the id of the element that shows a result."""
    return f"result-{number}"


def unfolded_results(verdict: Verdict) -> Iterator[str]:
    """Yield a section each for violations, warnings and waived findings, if there are any."""
    for id_, title, statuses in SECTIONS:
        groups = [group for status in statuses for group in _by_check(verdict, status).values()]
        if groups:
            yield f'<section id="{id_}"><h2>{title}</h2>'
            for group in groups:
                yield from _card(group)
            yield "</section>"


def passes(verdict: Verdict) -> Iterator[str]:
    """Yield the passes, folded: a line for each check, with its subjects."""
    groups = _by_check(verdict, "pass")
    if groups:
        total = sum(map(len, groups.values()))
        yield '<section class="folded"><details id="passes">'
        yield f"<summary><h2>{total} pass</h2></summary>"
        for group in groups.values():
            _, first = group[0]
            check = first.check
            yield f"<details><summary>{badge('pass')}{code(check.id)} "
            yield f'<span class="title">{prose(check.title)}</span></summary>'
            yield f'<div class="detail"><p>{_tags(group)}</p>{_why(check)}</div></details>'
        yield "</details></section>"


def not_run(verdict: Verdict) -> Iterator[str]:
    """Yield the checks that were not run, folded, by reason."""
    by_reason: dict[str, dict[str, list[NumberedResult]]] = {}  # then by check id
    for id_, group in _by_check(verdict, "not run").items():
        for number, result in group:
            groups = by_reason.setdefault(result.reason, {})
            groups.setdefault(id_, []).append((number, result))
    if by_reason:
        total = sum(len(group) for groups in by_reason.values() for group in groups.values())
        yield '<section class="folded"><details id="not-run">'
        yield f"<summary><h2>{total} not run</h2></summary>"
        for reason, groups in by_reason.items():
            yield f"<h3>{prose(reason)}</h3><ul>"
            for id_, group in groups.items():
                yield f"<li>{code(id_)} {_tags(group)}</li>"
            yield "</ul>"
        yield "</details></section>"


def _by_check(verdict: Verdict, status: str) -> dict[str, list[NumberedResult]]:
    """Return the results with a status, by check id."""
    groups: dict[str, list[NumberedResult]] = {}
    for number, result in enumerate(verdict.results):
        if result.status == status:
            groups.setdefault(result.check.id, []).append((number, result))
    return dict(sorted(groups.items()))


def _card(group: list[NumberedResult]) -> Iterator[str]:
    """Yield one check with its findings on each subject; the results have the same status."""
    _, first = group[0]
    check, status = first.check, first.status
    yield f'<article class="card {css_class(status)}">'
    yield (
        f"<h3>{badge(status)}<span>{prose(check.title)}</span> "
        f'<span class="id"><span class="unseen">{status}:</span> '
        f"{code(check.id)}</span></h3>"
    )
    for number, result in group:
        yield f'<div class="finding" id="{anchor(number)}" tabindex="-1">'
        yield f'<p class="tag">{text(result.subject)}</p><div>'
        for finding in result.findings:
            yield from _finding(finding)
        if result.reason:
            label = "Waived because" if status == "waived" else "Reason"
            yield f'<p class="reason"><b>{label}:</b> {prose(result.reason)}</p>'
        yield "</div></div>"
    if status != "waived":
        yield f'<p class="remedy"><b>Remedy</b> <span>{prose(first.remedy)}</span></p>'
    yield f"<details><summary>Why it matters</summary>{_why(check)}</details></article>"


def _finding(finding: Finding) -> Iterator[str]:
    yield f'<p class="message">{prose(finding.message)}</p>'
    if values := comparison(finding):
        expected, actual = values
        yield (
            f'<dl class="compared"><div><dt>Expected</dt><dd>{code(expected)}</dd></div>'
            f'<div class="actual"><dt>Actual</dt><dd>{code(actual)}</dd></div></dl>'
        )
    rows = [f"<div><dt>{name}</dt><dd>{code(value)}</dd></div>" for name, value in places(finding)]
    if rows:
        yield f'<dl class="places">{"".join(rows)}</dl>'


def _why(check: Check) -> str:
    """Return the reason and the reference of a check."""
    return f'<p>{prose(check.why)}</p><p class="dim">{prose(check.reference)}</p>'


def _tags(group: list[NumberedResult]) -> str:
    """Return the subjects of results as tags, to which the matrix links."""
    return " ".join(
        f'<span class="tag" id="{anchor(number)}" tabindex="-1">{text(result.subject)}</span>'
        for number, result in group
    )
