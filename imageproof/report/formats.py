"""The formats of a verdict, by name on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.atomic_write import write_report
from imageproof.report.document import as_json
from imageproof.report.format_option import require_format
from imageproof.report.html.page import as_html
from imageproof.report.junit import as_junit
from imageproof.report.markdown import as_markdown
from imageproof.report.sarif import as_sarif
from imageproof.report.table import as_text, table

if TYPE_CHECKING:
    from imageproof.verify.judge import Verdict

FORMATS: dict[str, Callable[[Verdict], str]] = {
    "html": as_html,
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
    "sarif": as_sarif,
    "table": as_text,
}


def render(verdict: Verdict, format_: str, output: str | None) -> None:
    """Print the verdict, or write it to the file `output`.

    Raises:
        UsageError: The format is unknown, or the file cannot be written.
        NoSpace: The disk of the file is full.
    """
    if format_ == "table" and output is None:
        console.show(table(verdict))
        return
    require_report_format(format_)
    text = FORMATS[format_](verdict)
    if output is None:
        console.write(text)
        return
    write_report(
        Path(output),
        text.rstrip("\n") + "\n",
        f"writing the report to {output}",
        "--output takes a file in an existing folder",
    )


def require_report_format(format_: str) -> None:
    """Raise UsageError if the format is unknown."""
    require_format(format_, FORMATS)
