"""`./inv bench`: measure this project and write docs/performance.json, .md and .svg."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof import console, contract
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError
from tests.bench import commands, images, reviews
from tests.bench.copy import copy_of_the_project
from tests.bench.machine import machine
from tests.bench.page import page, picture, print_table
from tests.bench.row import Row
from tests.support.commands import ROOT

PARTS = ("images", "commands", "reviews")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parts = parser.parse_args().parts or list(PARTS)
    engine = Engine((contract.load(ROOT).compose_file,))
    try:
        engine.require_answer()
        rows = list(_rows(parts))
    except ImageproofError as error:
        sys.exit(f"✗ {error} ({error.hint})")
    print_table(rows)
    if set(parts) == set(PARTS):  # docs/ holds only complete runs
        _write(ROOT / "docs", machine(engine), rows)


def _rows(parts: Sequence[str]) -> Iterator[Row]:
    if {"images", "commands"} & set(parts):
        with copy_of_the_project() as copy:
            if "images" in parts:
                yield from _printed(images.rows(copy))
            if "commands" in parts:
                yield from _printed(commands.rows(copy))
    if "reviews" in parts:
        yield from _printed(reviews.rows())


def _printed(rows: Iterator[Row]) -> Iterator[Row]:
    """Print each row as soon as it is measured."""
    for row in rows:
        console.say(row.line())
        yield row


def _write(docs: Path, machine_: Mapping[str, Any], rows: list[Row]) -> None:
    document = {"machine": machine_, "rows": [row.document() for row in rows]}
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (docs / "performance.json").write_text(text + "\n")
    (docs / "performance.md").write_text(page(machine_, rows))
    (docs / "performance.svg").write_text(picture(rows))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
