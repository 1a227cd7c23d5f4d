"""Every check is known to be able to fail: its planted fault is found, and found by it alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from imageproof.checks import REGISTRY, Check
from imageproof.verify.judge import PROJECT
from tests.defects import corpus
from tests.defects.corpus import Case
from tests.defects.reading import Seen, longest_first

CASES = sorted(corpus.collect(), key=longest_first)  # as they are read
DEFECTS = [case for case in CASES if case.planted]


def demand(seen: Seen, checks: Iterable[Check]) -> None:
    """The planted fault is found, by its check alone; where there is none, nothing is."""
    case = seen.case
    results = seen.judge(checks)
    told = [result for result in results if result.status not in ("pass", "not run")]
    said = [f"{r.check.id} {r.subject} {r.status}: {f.message}" for r in told for f in r.findings]
    assert {result.check.id for result in told} == set(filter(None, [case.planted])), said
    for result in told:
        assert result.subject in ("web", PROJECT), said
        assert result.status == ("warning" if result.check.severity == "warning" else "fail"), said
    asked = {result.check.id for result in results if result.status != "not run"}
    assert not case.check or case.check in asked, f"{case.check} did not look"


def named(cases: list[Case]):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def test_each_check_has_a_defect_and_each_defect_a_check():
    assert {case.check for case in DEFECTS} == set(REGISTRY)


def test_each_check_has_a_near_miss():
    assert {case.check for case in CASES if not case.planted} - {""} == set(REGISTRY)


@named(CASES)
def test_the_planted_fault_is_found_and_nothing_else(case, see):
    demand(see(case), REGISTRY.values())


@named(DEFECTS)
def test_nobody_else_tells_it_when_its_check_finds_nothing(case, see):
    """Mutation: a check that always passes must be noticed by this suite."""
    checks = [
        replace(check, function=lambda *_: ()) if check.id == case.check else check
        for check in REGISTRY.values()
    ]
    with pytest.raises(AssertionError):
        demand(see(case), checks)


def test_the_good_project_is_looked_at_by_every_check(see):
    results = see(CASES[0]).judge(REGISTRY.values())
    assert {r.check.id for r in results if r.status == "pass"} == set(REGISTRY)
