"""Tests of worker.risk.reference: docs/risk.md contains the table of all signals."""

from pathlib import Path

from worker.risk.reference import table

PAGE = Path(__file__).parents[4] / "docs" / "risk.md"


def test_the_page_contains_the_table_of_signals():
    assert table() in PAGE.read_text(), "paste the output of `python -m worker.risk.reference`"
