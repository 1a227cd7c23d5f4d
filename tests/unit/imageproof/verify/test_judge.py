"""imageproof.verify.judge: what the findings of a check amount to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imageproof.checks import REGISTRY, Check, Finding
from imageproof.errors import ContractError
from imageproof.verify.judge import (
    NOT_LOOKED_AT,
    PROJECT,
    ProjectFacts,
    Result,
    Subject,
    Verdict,
    judge,
    judge_project,
    require_known_waivers,
)
from tests.support.sample_facts import contract, example, image, service_contract, variables

REASON = "the base is to be replaced in May"
FAULT, UNSEEN = Finding("a fault"), Finding("nobody looked", unknown=True)
NOTE = Finding("worth knowing", warning=True)
IMAGE_LOOKS = ("image", "programs", "containers", "trial", "build")


def _check(*findings: Finding, looks: Any = "image") -> Check:
    return Check("made.up", "A title", "Why", "Mend it", "none", looks, lambda *_: findings)


def _subject(waiver: str = "", **facts: Any) -> Subject:
    waivers = {"made.up": waiver} if waiver else {}
    return Subject("shop", "shop:test", service_contract(waivers=waivers), **facts)


def _judged(*findings: Finding, waiver: str = "") -> Result:
    (result,) = judge([_check(*findings)], _subject(waiver, image=image()))
    return result


@pytest.mark.parametrize(
    ("findings", "waiver", "status", "fails"),
    [
        ((), "", "pass", False),
        ((FAULT,), "", "fail", True),
        ((UNSEEN,), "", "unknown", True),
        ((UNSEEN, UNSEEN), "", "unknown", True),
        ((UNSEEN, FAULT), "", "fail", True),
        ((NOTE,), "", "warning", False),
        ((NOTE, UNSEEN), "", "unknown", True),
        ((NOTE, FAULT), "", "fail", True),
        ((UNSEEN,), REASON, "waived", False),
        ((FAULT,), REASON, "waived", False),
        ((), REASON, "fail", True),
    ],
)
def test_findings_and_a_waiver_make_the_status(findings, waiver, status, fails):
    result = _judged(*findings, waiver=waiver)
    assert (result.status, result.fails) == (status, fails)
    assert Verdict((result,), ()).passes is not fails


def test_a_check_of_severity_warning_fails_nothing():
    mild = replace(_check(FAULT), severity="warning")
    (result,) = judge([mild], _subject(image=image()))
    assert (result.status, result.fails) == ("warning", False)
    assert Verdict((result,), ()).passes


def test_a_waiver_shows_its_reason_and_what_it_waives():
    result = _judged(FAULT, waiver=REASON)
    assert (result.reason, result.findings) == (REASON, (FAULT,))


def test_a_waiver_that_is_no_longer_needed_says_so():
    (finding,) = _judged(waiver=REASON).findings
    assert "no longer needed" in finding.message
    assert REASON in finding.message


def test_a_waiver_of_another_check_changes_nothing():
    subject = Subject("shop", "r", service_contract(waivers={"other.check": REASON}), image=image())
    assert [r.status for r in judge([_check(FAULT)], subject)] == ["fail"]


@pytest.mark.parametrize("looks", NOT_LOOKED_AT)
def test_without_its_facts_a_check_is_not_run_and_says_why(looks):
    checks = [_check(FAULT, looks=looks)]
    (result,) = (*judge(checks, _subject()), *judge_project(checks, contract(), ProjectFacts()))
    assert (result.status, result.reason) == ("not run", NOT_LOOKED_AT[looks])
    assert result.findings == ()
    assert not Verdict((result,), ()).passes


@pytest.mark.parametrize("facts", [{"programs": {}}, {"containers": []}])
def test_facts_that_are_empty_are_facts(facts):
    """No containers, where there should be some, is something to judge."""
    (looks,) = facts
    (result,) = judge([_check(UNSEEN, looks=looks)], _subject(**facts))
    assert result.status == "unknown"


def test_each_check_is_given_the_terms_and_the_facts_that_it_looks_at():
    given = []

    def ask(*arguments: Any) -> list[Finding]:
        given.append(arguments)
        return []

    facts: dict[str, Any] = {looks: f"facts of {looks}" for looks in IMAGE_LOOKS}
    subject = _subject(**facts)
    checks = [Check("made.up", "t", "w", "m", "r", looks, ask) for looks in NOT_LOOKED_AT]
    assert len(list(judge(checks, subject))) == len(IMAGE_LOOKS)
    assert given == [(subject.contract, facts[looks]) for looks in IMAGE_LOOKS]


def test_what_looks_at_the_project_is_asked_once_and_nothing_else_is():
    checks = [_check(FAULT), _check(FAULT, looks="variables")]
    (result,) = judge_project(checks, contract(), ProjectFacts(variables=variables()))
    assert (result.subject, result.status) == (PROJECT, "fail")


def test_what_looks_at_the_project_is_waived_by_the_contract_as_a_whole():
    facts = ProjectFacts(variables=variables())
    (result,) = judge_project(
        [_check(FAULT, looks="variables")], contract(waivers={"made.up": REASON}), facts
    )
    assert (result.status, result.reason) == ("waived", REASON)


def test_an_image_and_a_project_that_are_all_right_hold():
    results = [
        *judge(list(REGISTRY.values()), _subject(image=image())),
        *judge_project(list(REGISTRY.values()), contract(), ProjectFacts(variables=variables())),
    ]
    assert {r.check.id for r in results} == set(REGISTRY)
    assert {r.status for r in results} == {"pass", "not run"}
    assert Verdict(tuple(results), ()).passes


def test_one_fault_among_all_checks_fails_the_verdict():
    results = (
        *judge(list(REGISTRY.values()), _subject(image=image())),
        *judge_project(list(REGISTRY.values()), contract(), _stale()),
    )
    assert [r.check.id for r in results if r.fails] == ["env.parity"]
    assert not Verdict(results, ()).passes


def _stale() -> ProjectFacts:
    return ProjectFacts(variables=example("STALE", "1"))


def test_a_waiver_for_a_check_that_does_not_exist_is_refused():
    with pytest.raises(ContractError, match=r"size\.bugdet"):
        require_known_waivers(contract(images={"shop": service_contract(waivers={"size.bugdet": REASON})}))


@pytest.mark.parametrize(
    ("of_image", "of_project"), [("env.parity", ""), ("", "size.budget")], ids=["image", "project"]
)
def test_a_waiver_in_the_wrong_table_is_refused(of_image, of_project):
    images = {"shop": service_contract(waivers={of_image: REASON} if of_image else {})}
    waivers = {of_project: REASON} if of_project else {}
    with pytest.raises(ContractError, match="there is no check"):
        require_known_waivers(contract(images=images, waivers=waivers))
