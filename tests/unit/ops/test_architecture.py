"""Tests of docs/architecture.md: the paths in its table "Where to change" exist."""

from __future__ import annotations

import re

from tests.support.sample_facts import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text()
TABLE = PAGE.partition("## Where to change\n")[2].partition("\n## ")[0]
ROWS = [line.split("|") for line in TABLE.splitlines() if line.startswith("| ")][1:]
PATH = re.compile(r"`([\w./-]+)`")


def test_table_answers_ten_changes_with_one_first_path_each():
    assert len(ROWS) == 10
    assert [row for row in ROWS if len(PATH.findall(row[2])) != 1] == []


def test_every_path_of_the_table_exists():
    paths = PATH.findall(TABLE)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
