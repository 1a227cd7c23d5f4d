"""Results in words: violations, warnings and waivers open, passes folded, reasons of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.report.html.markup import badge, code, css_class, prose, text
from imageproof.report.text import comparison, places

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.verify.judge import Result, Verdict

Numbered = tuple[int, "Result"]  # a result and its number, which its anchor carries
SECTIONS = (
    ("violations", "Violations", ("fail", "unknown")),
    ("warnings", "Warnings", ("warning",)),
    ("waived", "Waived", ("waived",)),
)


def anchor(number: int) -> str:
    """Return the id of the element that shows a result."""
    return f"result-{number}"


def open_results(verdict: Verdict) -> Iterator[str]:
    """Yield a section each for violations, warnings and waived violations, if there are any."""
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
        number = sum(map(len, groups.values()))
        yield '<section class="folded"><details id="passes">'
        yield f"<summary><h2>{number} pass</h2></summary>"
        for group in groups.values():
            check = group[0][1].check
            yield f"<details><summary>{badge('pass')}{code(check.id)} "
            yield f'<span class="title">{prose(check.title)}</span></summary>'
            yield f'<div class="detail"><p>{_tags(group)}</p>{_why(check)}</div></details>'
        yield "</details></section>"


def not_run(verdict: Verdict) -> Iterator[str]:
    """Yield the checks that were not run, folded, by reason."""
    reasons: dict[str, dict[str, list[Numbered]]] = {}
    for id_, group in _by_check(verdict, "not run").items():
        for number, result in group:
            checks = reasons.setdefault(result.reason, {})
            checks.setdefault(id_, []).append((number, result))
    if reasons:
        total = sum(len(group) for checks in reasons.values() for group in checks.values())
        yield '<section class="folded"><details id="not-run">'
        yield f"<summary><h2>{total} not run</h2></summary>"
        for reason, checks in reasons.items():
            yield f"<h3>{prose(reason)}</h3><ul>"
            for id_, group in checks.items():
                yield f"<li>{code(id_)} {_tags(group)}</li>"
            yield "</ul>"
        yield "</details></section>"


def _by_check(verdict: Verdict, status: str) -> dict[str, list[Numbered]]:
    groups: dict[str, list[Numbered]] = {}
    for number, result in enumerate(verdict.results):
        if result.status == status:
            groups.setdefault(result.check.id, []).append((number, result))
    return dict(sorted(groups.items()))


def _card(group: list[Numbered]) -> Iterator[str]:
    """Yield one check with its findings on each subject."""
    result = group[0][1]
    check = result.check
    yield f'<article class="card {css_class(result.status)}">'
    yield (
        f"<h3>{badge(result.status)}<span>{prose(check.title)}</span> "
        f'<span class="id"><span class="unseen">{result.status}:</span> '
        f"{code(check.id)}</span></h3>"
    )
    for number, item in group:
        yield f'<div class="finding" id="{anchor(number)}" tabindex="-1">'
        yield f'<p class="tag">{text(item.subject)}</p><div>'
        for finding in item.findings:
            yield from _finding(finding)
        if item.reason:
            label = "Waived because" if item.status == "waived" else "Reason"
            yield f'<p class="reason"><b>{label}:</b> {prose(item.reason)}</p>'
        yield "</div></div>"
    if result.status != "waived":
        yield f'<p class="remedy"><b>Remedy</b> <span>{prose(check.remedy)}</span></p>'
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
    return f'<p>{prose(check.why)}</p><p class="dim">{prose(check.reference)}</p>'


def _tags(group: list[Numbered]) -> str:
    return " ".join(
        f'<span class="tag" id="{anchor(number)}" tabindex="-1">{text(result.subject)}</span>'
        for number, result in group
    )
