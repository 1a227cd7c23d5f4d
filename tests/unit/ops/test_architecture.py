"""docs/architecture.md: the paths in its table "Where to change" exist."""

from __future__ import annotations

import re

from tests.support.sample_facts import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text()
TABLE = PAGE.partition("## Where to change\n")[2].partition("\n## ")[0]
ROWS = [line.split("|") for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_table_answers_ten_changes_with_paths_that_exist():
    assert len(ROWS) == 10
    for row in ROWS:
        paths = [path for path in re.findall(r"`([^`]+)`", row[2])]
        assert len(paths) == 1, row
        assert (ROOT / paths[0]).exists(), row
    mentioned = [
        path for row in ROWS for path in re.findall(r"`([\w./-]+/[\w./-]*)`", "|".join(row))
    ]
    assert [path for path in mentioned if not (ROOT / path).exists()] == []
