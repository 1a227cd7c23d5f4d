"""The matrix of checks (rows, by prefix) against subjects (columns), one glyph a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from imageproof.report.html.markup import badge, css_class, glyph, prose, text
from imageproof.report.html.results import anchor
from imageproof.report.status import WORST_FIRST, counts

if TYPE_CHECKING:
    from imageproof.checks import Check
    from imageproof.verify.judge import Verdict

MAX_SUBJECTS = 8  # a matrix with more columns scrolls within its frame
Cells = Mapping[tuple[str, str], tuple[int, str]]  # number and status, by check and subject


def matrix(verdict: Verdict) -> Iterator[str]:
    """Yield the matrix; each cell links to its result, and is empty if there is none."""
    if not verdict.results:
        return
    subjects = list(dict.fromkeys(result.subject for result in verdict.results))
    cells = {
        (result.check.id, result.subject): (number, result.status)
        for number, result in enumerate(verdict.results)
    }
    checks = dict(sorted({result.check.id: result.check for result in verdict.results}.items()))
    yield '<section id="checks"><h2>Checks</h2>'
    yield from _legend_and_filter(verdict)
    yield f'<div class="{"wide" if len(subjects) > MAX_SUBJECTS else "frame"}">'
    yield '<table class="matrix"><caption class="unseen">Results of each check by subject</caption>'
    yield '<thead><tr><th scope="col">Check</th><th scope="col" class="title">Rule</th>'
    yield "".join(f'<th scope="col" class="subject">{text(name)}</th>' for name in subjects)
    yield "</tr></thead>"
    for prefix, members in groupby(checks.values(), key=lambda check: check.id.partition(".")[0]):
        head = f'<th scope="rowgroup" colspan="{len(subjects) + 2}">{text(prefix)}</th>'
        yield f'<tbody><tr class="group">{head}</tr>'
        for check in members:
            yield _row(check, subjects, cells)
        yield "</tbody>"
    yield "</table></div></section>"


def _legend_and_filter(verdict: Verdict) -> Iterator[str]:
    """Yield the legend, and the filter, which the script unhides."""
    yield '<div class="tools"><ul class="legend" aria-label="Legend">'
    numbers = counts(verdict)
    for status in WORST_FIRST:
        if numbers[status]:
            yield f"<li>{badge(status)}{status}</li>"
    yield '</ul><form class="filter" role="search" hidden>'
    yield '<input type="search" aria-label="Filter checks" placeholder="Filter checks">'
    yield '<label><input type="checkbox"> Only rows with a problem</label>'
    yield '<output class="unseen" aria-live="polite"></output></form></div>'


def _row(check: Check, subjects: list[str], cells: Cells) -> str:
    head = f'<th scope="row"><code>{text(check.id)}</code></th>'
    row = [f'<tr>{head}<td class="title">{prose(check.title)}</td>']
    for subject in subjects:
        if (check.id, subject) not in cells:
            row.append('<td><span class="unseen">does not apply</span></td>')
            continue
        number, status = cells[check.id, subject]
        label = f"{status}: {text(check.id)}, {text(subject)}"
        row.append(
            f'<td><a class="badge {css_class(status)}" href="#{anchor(number)}" '
            f'aria-label="{label}" title="{label}">{glyph(status)}</a></td>'
        )
    return f"{''.join(row)}</tr>"
