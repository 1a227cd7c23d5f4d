"""The benchmark's results as a table on the terminal, a Markdown page and a picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

from tests.bench.row import Row, median

PARTS = {
    "images": "Images",
    "commands": "Commands, beside plain Docker",
    "reviews": "Reviews",
}
WIDTH = 132  # columns of the picture
HEAD = """\
# Performance

`./inv bench` wrote this page on {date}; do not edit it. Figures are medians, with the minimum and
the maximum in brackets; [performance.json](performance.json) has every run. This project and its
peer ran in turns, on the same machine: compare the ratios rather than the seconds.

Machine: {processors} processors, {memory_gib} GiB, {architecture}, engine {engine},
Python {python}.

![Ratios of this project to its peers](performance.svg)
"""
NOTES = {
    "images": """\
The peers have the same code and packages, built the usual ways:
[tests/bench/Dockerfile.usual](../tests/bench/Dockerfile.usual). 1 MB is 1,000,000 bytes.
""",
    "commands": """\
The commands ran on a copy of the repository. Plain Docker had the same files, build arguments and
secrets. `./inv up` always asks BuildKit and Compose; it does not repeat lint and verification if
their inputs are unchanged.
""",
    "reviews": """\
The reviews ran on a stack and an npm registry of their own. Each compares two versions of a package
with 20 files, 5 of which differ. `npm diff` is the npm of the locked environment, started once a
pair. wrk sends the requests over the loopback interface while jobs wait in the queue.
""",
}
# Rich's own format would make a browser load fonts from the network.
PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{
  font-family: monospace; font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#ffffff" width="{width}" height="{height}"/>
<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def print_table(rows: Sequence[Row]) -> None:
    """Print the results on standard output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("case", "this project", "peer", "peer's figure", "ratio", "target", "reached"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row.case, spread(row.ours, row.unit), row.peer, spread(row.theirs, row.unit),
            ratio(row), row.target, reached(row),
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 200).print(table)


def spread(values: Sequence[float], unit: str) -> str:
    """Return the median, and the minimum and maximum of several values."""
    if not values:
        return ""
    middle = f"{median(values):g}"
    if len(values) > 1:
        return f"{middle} {unit} ({min(values):g}-{max(values):g})"
    return f"{middle} {unit}"


def ratio(row: Row) -> str:
    """Return the ratio of the medians; empty if there is no peer."""
    return f"{row.ratio:.2f}" if row.ratio is not None else ""


def reached(row: Row) -> str:
    """Return whether the target was reached; empty if there is none."""
    return ("yes" if row.reached else "no") if row.target else ""


def page(machine: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return docs/performance.md."""
    return "\n".join(_page(machine, rows))


def _page(machine: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    yield HEAD.format(date=datetime.now(tz=UTC).date(), **machine)
    for part, title in PARTS.items():
        yield f"## {title}\n"
        yield NOTES[part]
        yield (
            "| Case | This project | Peer | Peer's figure | Ratio | Target | Reached | Bounded by |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        for row in (row for row in rows if row.part == part):
            cells = (
                row.case, spread(row.ours, row.unit), row.peer, spread(row.theirs, row.unit),
                ratio(row), row.target, reached(row), row.bound,
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"
        yield ""


def picture(rows: Sequence[Row]) -> str:
    """Return the ratios as bars, in SVG; a full bar is twice the peer's figure."""
    bars = Table(box=None, pad_edge=False, padding=(0, 1))
    for heading, width in (("case", 48), ("peer", 36), ("ratio", 6), ("0 … 1 … 2", 32)):
        bars.add_column(heading, width=width, no_wrap=True)
    for row in rows:
        if row.ratio is not None:
            better = row.ratio >= 1 if row.more_is_better else row.ratio <= 1
            colour = "green" if better else "red" if row.target and not row.reached else "yellow"
            bars.add_row(
                Text(row.case), Text(row.peer), ratio(row),
                Bar(2, 0, min(row.ratio, 2), width=32, color=colour),
            )  # fmt: skip
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    console.print(bars)
    return console.export_svg(
        title="", theme=DEFAULT_TERMINAL_THEME, code_format=PICTURE, unique_id="bench"
    )
