"""The verdict of `./inv verify`: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import console
from ops.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ops.checks import Finding
    from ops.verify import Result, Verdict

SCHEMA = 1  # of the JSON document
MARKS = {
    "pass": ("✓", "green"),
    "fail": ("✗", "red"),
    "unknown": ("?", "yellow"),
    "waived": ("~", "yellow"),
    "not run": ("-", "dim"),
}
WORST_FIRST = ("fail", "unknown", "waived", "not run", "pass")


def render(verdict: Verdict, form: str, output: str | None) -> None:
    """Show the verdict, or write it to a file. Raises UsageError for an unknown format."""
    if form == "table" and output is None:
        console.show(table(verdict))
        return
    known(form)
    text = FORMS[form](verdict)
    if output is None:
        console.write(text)
        return
    try:
        Path(output).write_text(text.rstrip("\n") + "\n")
    except OSError as error:
        raise UsageError(
            f"writing the report to {output}",
            error.strerror or str(error),
            hint="--output takes a file in a folder that is there",
        ) from error


def known(form: str) -> None:
    """Raise UsageError for a format that there is not, before any work is done."""
    if form not in FORMS:
        raise UsageError(
            "reading the command line",
            f"there is no format {form!r}",
            hint=f"formats: {', '.join(sorted(FORMS))}",
        )


def table(verdict: Verdict) -> RenderableType:
    """Results grouped by subject, the worst first; each finding with its place and its mend."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = []
    for subject in dict.fromkeys(result.subject for result in verdict.results):
        results = [r for r in verdict.results if r.subject == subject]
        lines.append(Text(f"\n{_title(verdict, subject)}", style="bold"))
        for result in sorted(results, key=lambda r: (WORST_FIRST.index(r.status), r.check.id)):
            mark, style = MARKS[result.status]
            line = Text(f"  {mark} {result.status:<8} ", style=style)
            line.append(f"{result.check.id:<24} ", style="default")
            lines.append(line.append(_aside(result), style="dim"))
            for finding in result.findings:
                lines.append(Text(f"       {finding.message}"))
                lines += [Text(f"         {place}", style="dim") for place in _places(finding)]
            if result.fails:
                lines.append(Text(f"       → {result.check.mend}", style="cyan"))
    lines.append(Text(f"\n{count(verdict)}", style="bold green" if verdict.holds else "bold red"))
    return Group(*lines)


def _title(verdict: Verdict, subject: str) -> str:
    for item in verdict.subjects:
        if item.name == subject and item.image:
            return f"{subject}  {item.reference}  {item.image.size / 1e6:.1f} MB in layers"
    return subject


def _aside(result: Result) -> str:
    return result.reason or result.check.title


def _places(finding: Finding) -> list[str]:
    found = []
    if finding.file:
        found.append(f"file: {finding.file}")
    if finding.instruction:
        found.append(f"made by: {finding.instruction}")
    elif finding.layer:
        found.append(f"layer: {finding.layer}")
    return found


def count(verdict: Verdict) -> str:
    """One line: how many results of each kind."""
    counts = dict.fromkeys(WORST_FIRST, 0)
    for result in verdict.results:
        counts[result.status] += 1
    said = [f"{number} {status}" for status, number in reversed(counts.items()) if number]
    return ", ".join(said) or "nothing was looked at"


def as_json(verdict: Verdict) -> str:
    """The whole verdict; the same facts give the same bytes."""
    return json.dumps(document(verdict), indent=2, sort_keys=True, ensure_ascii=False)


def document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data: what the JSON says."""
    return {
        "schema": SCHEMA,
        "holds": verdict.holds,
        "images": {
            subject.name: {
                "reference": subject.reference,
                "id": subject.image.identity,
                "layer_bytes": subject.image.size,
                "layers": [
                    {
                        "diff_id": layer.diff_id,
                        "bytes": layer.size,
                        "instruction": layer.instruction,
                    }
                    for layer in subject.image.layers
                ],
                "base": subject.image.labels.get("org.opencontainers.image.base.name"),
            }
            for subject in verdict.subjects
            if subject.image
        },
        "results": [
            {
                "check": result.check.id,
                "subject": result.subject,
                "status": result.status,
                "reason": result.reason or None,
                "findings": [asdict(finding) for finding in result.findings],
            }
            for result in verdict.results
        ],
    }


def _plain(verdict: Verdict) -> str:
    """The table without colour, for a file."""
    from rich.console import Console

    plain = Console(width=120, no_color=True, highlight=False, soft_wrap=True)
    with plain.capture() as capture:
        plain.print(table(verdict))
    return capture.get()


FORMS: dict[str, Callable[[Verdict], str]] = {"json": as_json, "table": _plain}
