"""imageproof.checks: what nobody could look at of a running stack is unknown, and never a pass."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding
from imageproof.runtime.containers import ContainerFacts, EnvironmentDigests
from imageproof.runtime.probe_client import Limits
from imageproof.runtime.programs import ProgramFacts
from tests.support.sample_facts import container, running, service_contract, writes


def _ask(id_: str, facts: Any) -> list[Finding]:
    return list(REGISTRY[id_].function(service_contract(), facts))


PROCESSES = ("run.nonroot", "run.capabilities", "run.no-new-privileges", "run.seccomp", "run.pid1")
CONTAINERS = sorted(id_ for id_, check in REGISTRY.items() if check.needs == "containers")
UNSEEN = ContainerFacts("shop-1", "running", "healthy", 0, False, "", None, unknown="no base image")


@pytest.mark.parametrize("id_", PROCESSES)
@pytest.mark.parametrize(
    "facts",
    [
        [],
        [container(processes=None, unknown="no base image")],
        [container(processes=())],
        [container(), container(name="shop-2", processes=None)],
        [container(), container(name="shop-2", processes=())],
    ],
)
def test_processes_that_nobody_saw_are_unknown_and_never_a_pass(id_, facts):
    findings = _ask(id_, facts)
    assert len(findings) == 1
    assert findings[0].unknown


@pytest.mark.parametrize("id_", PROCESSES)
def test_why_nobody_saw_them_is_told(id_):
    facts = [container(processes=None, unknown="there is no base image")]
    assert _ask(id_, facts)[0].message == "shop-1: there is no base image"


@pytest.mark.parametrize("id_", CONTAINERS)
def test_a_service_without_containers_is_never_a_pass(id_):
    findings = _ask(id_, [])
    assert [finding.unknown for finding in findings] == [True]


@pytest.mark.parametrize("id_", [id_ for id_ in CONTAINERS if id_ != "run.healthy"])
def test_a_container_that_nobody_could_look_into_is_unknown_for_one_reason(id_):
    findings = _ask(id_, [UNSEEN])
    assert [(f.unknown, f.message) for f in findings] == [(True, "shop-1: no base image")]


def test_the_engine_alone_tells_health():
    assert _ask("run.healthy", [UNSEEN]) == []


def test_a_path_that_takes_writes_with_and_without_the_read_only_root_is_told_once():
    facts = container(writes=writes("/app"), image_writes=writes("/app"))
    assert [f.file for f in _ask("run.readonly", [facts])] == ["/app"]


def test_of_what_was_written_the_files_are_told_and_of_many_some():
    changed = ("/app", *(f"/app/{number}" for number in range(8)))
    findings = _ask("run.readonly", [container(changed=changed)])
    assert [f.file for f in findings] == [*(f"/app/{number}" for number in range(5)), None]
    assert "3 more" in findings[-1].message


def test_each_missing_bound_is_a_finding_of_its_own():
    assert len(_ask("run.limits", [container(limits=Limits())])) == 3


def test_what_an_environment_holds_is_never_told():
    facts = container(environment=EnvironmentDigests({"TOKEN": "digest-a"}, {"TOKEN": "digest-b"}, {}))
    findings = _ask("run.environment", [facts])
    assert findings
    assert "digest" not in repr(findings)


def test_a_program_that_was_not_run_is_unknown():
    findings = _ask("run.programs", ProgramFacts())
    assert [finding.unknown for finding in findings] == [True]


def test_a_fault_beside_an_unknown_is_still_found():
    facts = [container(processes=None), *running(uids=(0,) * 4)]
    assert {f.unknown for f in _ask("run.nonroot", facts)} == {True, False}
