"""docs/comparison.md: it says what the last run found, and that is what the project claims."""

from __future__ import annotations

import json

from imageproof.checks import REGISTRY
from tests.peers.table import page
from tests.support.sample_facts import ROOT

FOUND = json.loads((ROOT / "docs/comparison.json").read_text())


def test_the_page_is_made_of_the_runs_data():
    assert (ROOT / "docs/comparison.md").read_text() == page(FOUND)


def test_the_run_had_each_check():
    assert {case["check"] for case in FOUND["cases"]} == {"", *REGISTRY}


def test_each_planted_fault_was_found_and_nothing_else():
    for case in FOUND["cases"]:
        wanted = [case["check"]] if case["planted"] else []
        assert case["complaints"]["ops"] == wanted, case["case"]
