"""The formats of a verdict, by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import UsageError
from imageproof.report.document import as_json
from imageproof.report.html import as_html
from imageproof.report.junit import as_junit
from imageproof.report.markdown import as_markdown
from imageproof.report.sarif import as_sarif
from imageproof.report.table import as_text, table

if TYPE_CHECKING:
    from imageproof.verify.judge import Verdict

FORMS: dict[str, Callable[[Verdict], str]] = {
    "html": as_html,
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
    "sarif": as_sarif,
    "table": as_text,
}


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
