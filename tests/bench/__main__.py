"""`./inv bench`: measure, and write docs/performance.json, .md and .svg."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from imageproof import console, contract
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError
from tests.bench import commands, images, reviews
from tests.bench.copy import copied
from tests.bench.machine import machine
from tests.bench.page import page, picture, table
from tests.bench.row import Row
from tests.support.commands import ROOT

PARTS = ("images", "commands", "reviews")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    wanted = parser.parse_args().parts or list(PARTS)
    terms = contract.load(ROOT)
    engine = Engine((terms.compose_file,))
    try:
        engine.require()
        measured = list(_rows(wanted))
    except ImageproofError as error:
        sys.exit(f"✗ {error} ({error.hint})")
    found = {"machine": machine(engine), "rows": [row.document() for row in measured]}
    _write(ROOT / "docs", found, measured, whole=set(wanted) == set(PARTS))


def _rows(parts: Sequence[str]) -> Iterator[Row]:
    if {"images", "commands"} & set(parts):
        with copied() as copy:
            if "images" in parts:
                yield from _said(images.rows(copy))
            if "commands" in parts:
                yield from _said(commands.rows(copy))
    if "reviews" in parts:
        yield from _said(reviews.rows())


def _said(rows: Iterator[Row]) -> Iterator[Row]:
    """Each as soon as it is known: all of them take long."""
    for row in rows:
        console.say(row.line())
        yield row


def _write(docs: Path, found: object, rows: list[Row], *, whole: bool) -> None:
    """What was measured; only a run of all parts replaces the last one."""
    table(rows)
    if not whole:
        return
    (docs / "performance.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    (docs / "performance.md").write_text(page(found, rows))
    (docs / "performance.svg").write_text(picture(rows))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
