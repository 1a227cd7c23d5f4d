"""Tests of the judge: findings and waivers become results, results a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imageproof.checks import REGISTRY, Check, Finding
from imageproof.errors import ContractError
from imageproof.verify.judge import (
    MAX_TEXT_CHARACTERS,
    NOT_RUN_REASONS,
    PROJECT,
    ProjectFacts,
    Result,
    Subject,
    Verdict,
    judge,
    judge_project,
    require_known_waivers,
)
from tests.support.sample_facts import contract, image, service_contract, variables, with_example

REASON = "the base is to be replaced in May"
FAULT, UNKNOWN = Finding("a fault"), Finding("no probe", unknown=True)
WARNING = Finding("worth knowing", warning=True)
IMAGE_NEEDS = ("image", "programs", "containers", "trial", "build")


def _check(*findings: Finding, needs: Any = "image") -> Check:
    return Check("made.up", "A title", "Why", "Fix it", "none", needs, lambda *_: findings)


def _subject(waiver: str = "", **facts: Any) -> Subject:
    waivers = {"made.up": waiver} if waiver else {}
    return Subject("shop", "shop:test", service_contract(waivers=waivers), **facts)


def _judge(*findings: Finding, waiver: str = "") -> Result:
    (result,) = judge([_check(*findings)], _subject(waiver, image=image()))
    return result


@pytest.mark.parametrize(
    ("findings", "waiver", "status", "fails"),
    [
        ((), "", "pass", False),
        ((FAULT,), "", "fail", True),
        ((UNKNOWN,), "", "unknown", True),
        ((UNKNOWN, UNKNOWN), "", "unknown", True),
        ((UNKNOWN, FAULT), "", "fail", True),
        ((WARNING,), "", "warning", False),
        ((WARNING, UNKNOWN), "", "unknown", True),
        ((WARNING, FAULT), "", "fail", True),
        ((UNKNOWN,), REASON, "waived", False),
        ((FAULT,), REASON, "waived", False),
        ((), REASON, "fail", True),
    ],
)
def test_findings_and_waiver_decide_the_status(findings, waiver, status, fails):
    result = _judge(*findings, waiver=waiver)
    assert (result.status, result.fails) == (status, fails)
    assert Verdict((result,), ()).passes is not fails


def test_check_of_severity_warning_does_not_fail_the_verdict():
    check = replace(_check(FAULT), severity="warning")
    (result,) = judge([check], _subject(image=image()))
    assert (result.status, result.fails) == ("warning", False)
    assert Verdict((result,), ()).passes


def test_waived_result_has_the_reason_and_the_findings():
    result = _judge(FAULT, waiver=REASON)
    assert (result.reason, result.findings) == (REASON, (FAULT,))


def test_waiver_without_a_finding_asks_for_its_removal():
    (finding,) = _judge(waiver=REASON).findings
    assert "waives nothing" in finding.message
    assert REASON in finding.message


def test_waiver_of_another_check_waives_nothing():
    service = service_contract(waivers={"other.check": REASON})
    subject = Subject("shop", "shop:test", service, image=image())
    assert [r.status for r in judge([_check(FAULT)], subject)] == ["fail"]


@pytest.mark.parametrize("needs", NOT_RUN_REASONS)
def test_check_without_its_facts_is_not_run(needs):
    checks = [_check(FAULT, needs=needs)]
    (result,) = (*judge(checks, _subject()), *judge_project(checks, contract(), ProjectFacts()))
    assert (result.status, result.reason) == ("not run", NOT_RUN_REASONS[needs])
    assert result.findings == ()
    assert not Verdict((result,), ()).passes


@pytest.mark.parametrize("facts", [{"programs": {}}, {"containers": []}])
def test_check_with_empty_facts_is_run(facts):
    (needs,) = facts
    (result,) = judge([_check(UNKNOWN, needs=needs)], _subject(**facts))
    assert result.status == "unknown"


def test_check_gets_the_service_contract_and_the_facts_it_needs():
    calls = []

    def function(*arguments: Any) -> list[Finding]:
        calls.append(arguments)
        return []

    facts: dict[str, Any] = {needs: f"facts of {needs}" for needs in IMAGE_NEEDS}
    subject = _subject(**facts)
    checks = [Check("made.up", "t", "w", "m", "r", needs, function) for needs in NOT_RUN_REASONS]
    assert len(list(judge(checks, subject))) == len(IMAGE_NEEDS)
    assert calls == [(subject.contract, facts[needs]) for needs in IMAGE_NEEDS]


def test_judging_the_project_runs_only_project_checks():
    checks = [_check(FAULT), _check(FAULT, needs="variables")]
    (result,) = judge_project(checks, contract(), ProjectFacts(variables=variables()))
    assert (result.subject, result.status) == (PROJECT, "fail")


def test_project_check_is_waived_in_the_whole_contract():
    facts = ProjectFacts(variables=variables())
    checks = [_check(FAULT, needs="variables")]
    (result,) = judge_project(checks, contract(waivers={"made.up": REASON}), facts)
    assert (result.status, result.reason) == ("waived", REASON)


def _judge_samples(project: ProjectFacts) -> tuple[Result, ...]:
    checks = list(REGISTRY.values())
    return (
        *judge(checks, _subject(image=image())),
        *judge_project(checks, contract(), project),
    )


def test_good_image_and_project_pass():
    results = _judge_samples(ProjectFacts(variables=variables()))
    assert {r.check.id for r in results} == set(REGISTRY)
    assert {r.status for r in results} == {"pass", "not run"}
    assert Verdict(results, ()).passes


def test_one_violation_fails_the_verdict():
    results = _judge_samples(ProjectFacts(variables=with_example("STALE", "1")))
    assert [r.check.id for r in results if r.fails] == ["env.parity"]
    assert not Verdict(results, ()).passes


def test_waiver_of_an_unknown_check_is_refused():
    service = service_contract(waivers={"size.bugdet": REASON})
    with pytest.raises(ContractError, match=r"size\.bugdet"):
        require_known_waivers(contract(images={"shop": service}))


@pytest.mark.parametrize(
    ("of_image", "of_project"), [("env.parity", ""), ("", "size.budget")], ids=["image", "project"]
)
def test_waiver_in_the_wrong_table_is_refused(of_image, of_project):
    images = {"shop": service_contract(waivers={of_image: REASON} if of_image else {})}
    waivers = {of_project: REASON} if of_project else {}
    with pytest.raises(ContractError, match="there is no check"):
        require_known_waivers(contract(images=images, waivers=waivers))


@pytest.mark.parametrize(("last", "status"), [(FAULT, "fail"), (UNKNOWN, "unknown")])
def test_findings_beyond_the_bound_are_counted_and_still_decide(monkeypatch, last, status):
    monkeypatch.setattr("imageproof.verify.judge.MAX_FINDINGS", 2)
    result = _judge(WARNING, WARNING, WARNING, last)
    assert [finding.message for finding in result.findings[2:]] == ["and 2 more"]
    assert result.status == status


def test_long_texts_of_findings_are_cut():
    result = _judge(Finding("x" * 10_000, instruction="y" * 10_000, measured=10**6000))
    assert len(result.findings[0].message) == MAX_TEXT_CHARACTERS + 3
    assert len(result.findings[0].instruction or "") == MAX_TEXT_CHARACTERS + 3


RUN_CHECKS = [check for check in REGISTRY.values() if check.id.startswith("run.")]


@pytest.mark.parametrize("only", [None, "run.nonroot"])
def test_service_without_a_container_is_reported_once_with_its_own_remedy(only):
    checks = [check for check in RUN_CHECKS if only in (None, check.id)]
    results = list(judge(checks, _subject(containers=())))
    (unknown,) = [result for result in results if result.status == "unknown"]
    assert unknown.check.id == (only or "run.healthy")
    assert [finding.message for finding in unknown.findings] == ["the service has no container"]
    assert unknown.remedy == "`./inv up` starts the whole stack."
    assert {result.status for result in results if result is not unknown} <= {"not run"}
    assert not Verdict(tuple(results), ()).passes


def test_remedy_of_a_violation_is_not_that_of_missing_facts():
    violation, unknown = _judge(FAULT), _judge(UNKNOWN)
    assert violation.remedy == "Fix it"
    assert unknown.remedy != violation.remedy
