"""The verdict as a table for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.report.document import counts
from imageproof.report.text import clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from imageproof.checks import Finding
    from imageproof.verify.judge import Result, Verdict

MARKS = {
    "pass": ("✓", "green"),
    "warning": ("!", "yellow"),
    "fail": ("✗", "red"),
    "unknown": ("?", "yellow"),
    "waived": ("~", "yellow"),
    "not run": ("-", "dim"),
}
WORST_FIRST = ("fail", "unknown", "warning", "waived", "pass", "not run")


def table(verdict: Verdict) -> RenderableType:
    """Results grouped by subject, the worst first; each finding with its place and its mend."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = []
    for subject in dict.fromkeys(result.subject for result in verdict.results):
        results = [r for r in verdict.results if r.subject == subject]
        lines.append(Text(f"\n{_title(verdict, subject)}", style="bold"))
        for result in sorted(results, key=lambda r: (WORST_FIRST.index(r.status), r.check.id)):
            if result.status != "not run":
                lines += _lines(result)
        lines += _not_run(results)
    lines.append(Text(f"\n{count(verdict)}", style="bold green" if verdict.passes else "bold red"))
    return Group(*lines)


def _lines(result: Result) -> Iterator[Text]:
    from rich.text import Text

    line = _marked(result.status)
    line.append(f"{result.check.id:<24} ", style="default")
    yield line.append(clean(result.reason or result.check.title), style="dim")
    for finding in result.findings:
        yield Text(f"       {clean(finding.message)}")
        for place in places(finding):
            yield Text(f"         {place}", style="dim")
    if result.fails or result.status == "warning":
        yield Text(f"       → {result.check.remedy}", style="cyan")


def _marked(status: str) -> Text:
    from rich.text import Text

    mark, style = MARKS[status]
    return Text(f"  {mark} {status:<8} ", style=style)


def _not_run(results: Sequence[Result]) -> Iterator[Text]:
    """What was not run for the same reason, in one line."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.status == "not run":
            reasons[result.reason].append(result.check.id)
    for reason, ids in reasons.items():
        line = _marked("not run").append(f"{', '.join(sorted(ids))}", style="default")
        yield line.append(f"  {clean(reason)}", style="dim")


def _title(verdict: Verdict, subject: str) -> str:
    for item in verdict.subjects:
        if item.name == subject and item.image:
            size = f"{item.image.size / 1e6:.1f} MB in layers"
            return f"{subject}  {clean(item.reference)}  {size}"
    return subject


def places(finding: Finding) -> list[str]:
    """Where a finding is: file, and the instruction or layer that brought it."""
    found = []
    if finding.file:
        found.append(f"file: {clean(finding.file)}")
    if finding.instruction:
        found.append(f"made by: {clean(finding.instruction)}")
    elif finding.layer:
        found.append(f"layer: {clean(finding.layer)}")
    return found


def count(verdict: Verdict) -> str:
    """One line: how many results of each kind."""
    found = counts(verdict)
    order = ("pass", "not run", "waived", "warning", "unknown", "fail")
    said = [f"{found[status]} {status}" for status in order if found[status]]
    return ", ".join(said) or "nothing was looked at"


def as_text(verdict: Verdict) -> str:
    """The table without colour, for a file."""
    from rich.console import Console

    plain = Console(width=120, no_color=True, highlight=False, soft_wrap=True)
    with plain.capture() as capture:
        plain.print(table(verdict))
    return capture.get()
