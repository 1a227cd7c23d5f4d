"""The verdict as a table for a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.report.status import LOOKS, by_subject, count_line, sort_worst_first
from imageproof.report.text import clean, comparison, places

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from imageproof.checks import Finding
    from imageproof.verify.judge import Result, Verdict

INDENT = " " * 7


def table(verdict: Verdict) -> RenderableType:
    """Return the results of each subject, worst first, with the findings and remedies."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = []
    for subject, results in by_subject(verdict).items():
        lines.append(Text(f"\n{_title(verdict, subject)}", style="bold"))
        for result in sort_worst_first(results):
            if result.status != "not run":
                lines += _lines(result)
        lines += _not_run(results)
    colour = "green" if verdict.passes else "red"
    lines.append(Text(f"\n{count_line(verdict)}", style=f"bold {colour}"))
    return Group(*lines)


def as_text(verdict: Verdict) -> str:
    """Return the table without colour, for a file."""
    from rich.console import Console

    plain = Console(width=120, no_color=True, highlight=False, soft_wrap=True)
    with plain.capture() as capture:
        plain.print(table(verdict))
    return capture.get()


def _lines(result: Result) -> Iterator[Text]:
    from rich.text import Text

    line = _status(result.status)
    line.append(f"{result.check.id:<24} ")
    yield line.append(clean(result.reason or result.check.title), style="dim")
    for finding in result.findings:
        yield Text(f"{INDENT}{clean(finding.message)}")
        yield from _comparison(finding)
        for label, text in places(finding):
            yield Text(f"{INDENT}  {label}: {text}", style="dim")
    if result.fails or result.status == "warning":
        yield Text(f"{INDENT}→ {result.remedy}", style="cyan")


def _comparison(finding: Finding) -> Iterator[Text]:
    from rich.text import Text

    if values := comparison(finding):
        expected, actual = values
        parts = (("expected: ", "dim"), expected, ("  actual: ", "dim"), actual)
        yield Text.assemble(f"{INDENT}  ", *parts)


def _status(status: str) -> Text:
    from rich.text import Text

    glyph, style = LOOKS[status]
    return Text.assemble((f"  {glyph} {status:<8} ", style))


def _not_run(results: Sequence[Result]) -> Iterator[Text]:
    """Yield one line for each reason why checks were not run."""
    ids_by_reason: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.status == "not run":
            ids_by_reason[result.reason].append(result.check.id)
    for reason, ids in ids_by_reason.items():
        line = _status("not run").append(", ".join(sorted(ids)))
        yield line.append(f"  {clean(reason)}", style="dim")


def _title(verdict: Verdict, subject: str) -> str:
    for item in verdict.subjects:
        if item.name == subject and item.image:
            size = f"{item.image.size / 1e6:.1f} MB in layers"
            return f"{subject}  {clean(item.reference)}  {size}"
    return subject
