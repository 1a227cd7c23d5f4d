"""Planted defects: each check finds its own defect, and no other check does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from imageproof.checks import REGISTRY, Check
from imageproof.verify.judge import PROJECT
from tests.defects import corpus
from tests.defects.corpus import Case
from tests.defects.reading import CaseFacts, slowest_first

CASES = sorted(corpus.collect(), key=slowest_first)  # in the order of reading
DEFECTS = [case for case in CASES if case.planted]


def assert_only_planted_defect_found(facts: CaseFacts, checks: Iterable[Check]) -> None:
    """Assert that the planted defect is found by its check only; without one, nothing is found."""
    case = facts.case
    results = facts.judge(checks)
    violations = [result for result in results if result.status not in ("pass", "not run")]
    listing = [
        f"{result.check.id} {result.subject} {result.status}: {finding.message}"
        for result in violations
        for finding in result.findings
    ]
    assert {result.check.id for result in violations} == ({case.planted} - {""}), listing
    for result in violations:
        assert result.subject in ("web", PROJECT), listing
        expected = "warning" if result.check.severity == "warning" else "fail"
        assert result.status == expected, listing
    ran = {result.check.id for result in results if result.status != "not run"}
    assert not case.check or case.check in ran, f"{case.check} did not run"


def parametrize(cases: list[Case]):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def test_each_check_has_a_defect():
    assert {case.check for case in DEFECTS} == set(REGISTRY)


def test_each_check_has_a_near_miss():
    assert {case.check for case in CASES if not case.planted} - {""} == set(REGISTRY)


@parametrize(CASES)
def test_only_the_planted_defect_is_found(case, facts_of):
    assert_only_planted_defect_found(facts_of(case), REGISTRY.values())


@parametrize(DEFECTS)
def test_defect_is_missed_if_its_check_finds_nothing(case, facts_of):
    """Mutation test: this suite notices a check that always passes."""
    checks = [
        replace(check, function=lambda *_: ()) if check.id == case.check else check
        for check in REGISTRY.values()
    ]
    with pytest.raises(AssertionError):
        assert_only_planted_defect_found(facts_of(case), checks)


def test_good_project_passes_every_check(facts_of):
    results = facts_of(CASES[0]).judge(REGISTRY.values())
    assert {result.check.id for result in results if result.status == "pass"} == set(REGISTRY)
