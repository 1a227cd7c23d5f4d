"""Tests of docs/comparison.md and the data of its last run."""

from __future__ import annotations

import json

import pytest

from imageproof.checks import REGISTRY
from tests.peers.table import page
from tests.support.sample_facts import ROOT

RUN = json.loads((ROOT / "docs/comparison.json").read_text())
COMPARED = {case["check"] for case in RUN["cases"]} - {""}


def test_page_shows_the_data_of_the_run():
    assert (ROOT / "docs/comparison.md").read_text() == page(RUN)


def test_compared_checks_exist():
    assert set(REGISTRY) >= COMPARED


def test_checks_newer_than_the_run_are_listed():
    """A run takes a quarter of an hour: a new check may wait for the next one."""
    if newer := sorted(REGISTRY.keys() - COMPARED):
        reason = f"the comparison of {RUN['date']} does not have {', '.join(newer)} yet"
        pytest.skip(f"{reason}: `./inv bench --peers` adds them")


def test_verify_found_each_planted_fault_and_nothing_else():
    for case in RUN["cases"]:
        expected = [case["check"]] if case["planted"] else []
        assert case["complaints"]["imageproof"] == expected, case["case"]
