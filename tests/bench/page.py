"""The benchmark as a table, as a page and as a picture."""

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

Made by `./inv bench` on {date}; by hand nothing is written here. All runs stand in
[performance.json](performance.json). Medians, with the least and the most in brackets. What is
compared was measured in turns, in the same run: a ratio says more than seconds do, which are this
machine's.

Machine: {processors} processors, {memory_gib} GiB, {architecture}, engine {engine},
Python {python}.

![ratios](performance.svg)
"""
NOTES = {
    "images": """\
The usual ways are in [tests/bench/Dockerfile.usual](../tests/bench/Dockerfile.usual), with the same
packages and the same code. MB are 1,000,000 bytes.
""",
    "commands": """\
On a copy of the repository with names of its own. Plain bake and `docker build` are given the same
files, arguments and secrets. `./inv up` includes lint, both verifications and their reports; where
nothing changed by content, what passed is not run again.
""",
    "reviews": """\
On a stack and an npm registry of their own; each review is of another pair of versions of 20 files,
5 of which differ. `npm diff` is run once a pair, by the npm of the locked environment. The load is
wrk's, on the loopback, while more jobs wait than are done meanwhile.
""",
}
# Without rich's own, which would have a browser fetch fonts from elsewhere.
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


def table(rows: Sequence[Row]) -> None:
    """For people, on standard output."""
    found = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("case", "this project", "peer", "its figure", "ratio", "aim", ""):
        found.add_column(heading)
    for row in rows:
        found.add_row(
            row.what, spread(row.ours, row.unit), row.peer, spread(row.theirs, row.unit),
            ratio(row), row.target, held(row),
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 200).print(found)


def spread(values: Sequence[float], unit: str) -> str:
    """Median, least and most."""
    if not values:
        return ""
    middle = f"{median(values):g}"
    if len(values) > 1:
        return f"{middle} {unit} ({min(values):g}-{max(values):g})"
    return f"{middle} {unit}"


def ratio(row: Row) -> str:
    """Of the medians."""
    return f"{row.ratio:.2f}" if row.ratio is not None else ""


def held(row: Row) -> str:
    """Whether the aim was reached; nothing where there is none."""
    return ("yes" if row.holds else "no") if row.target else ""


def page(found: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """As docs/performance.md has it."""
    return "\n".join(_page(found, rows))


def _page(found: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    yield HEAD.format(date=datetime.now(tz=UTC).date(), **found["machine"])
    for part, title in PARTS.items():
        yield f"## {title}\n"
        yield NOTES[part]
        yield "| Case | This project | Peer | Its figure | Ratio | Aim | Reached | What bounds it |"
        yield "|---|---|---|---|---|---|---|---|"
        for row in (row for row in rows if row.part == part):
            cells = (
                row.what, spread(row.ours, row.unit), row.peer, spread(row.theirs, row.unit),
                ratio(row), row.target, held(row), row.limit,
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"
        yield ""


def picture(rows: Sequence[Row]) -> str:
    """Each ratio as a bar; a full one is twice the peer's figure."""
    bars = Table(box=None, pad_edge=False, padding=(0, 1))
    for heading, width in (("case", 48), ("beside", 36), ("ratio", 6), ("0 … 1 … 2", 32)):
        bars.add_column(heading, width=width, no_wrap=True)
    for row in rows:
        if row.ratio is not None:
            better = row.ratio > 1 if row.unit == "reviews/s" else row.ratio <= 1
            colour = "green" if better else "red" if row.target and not row.holds else "yellow"
            bars.add_row(
                Text(row.what), Text(row.peer), ratio(row),
                Bar(2, 0, min(row.ratio, 2), width=32, color=colour),
            )  # fmt: skip
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    console.print(bars)
    return console.export_svg(
        title="", theme=DEFAULT_TERMINAL_THEME, code_format=PICTURE, unique_id="bench"
    )
