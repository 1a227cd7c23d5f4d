"""Findings of the run.* checks, above all for missing facts: they are unknown, never a pass."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding
from imageproof.runtime.containers import ContainerFacts, EnvironmentDigests
from imageproof.runtime.probe_client import Limits
from imageproof.runtime.programs import ProgramFacts
from tests.support.sample_facts import container, service_contract, with_process, writes


def _findings(id_: str, facts: Any) -> list[Finding]:
    return list(REGISTRY[id_].function(service_contract(), facts))


PROCESS_CHECKS = (
    "run.nonroot",
    "run.capabilities",
    "run.no-new-privileges",
    "run.seccomp",
    "run.pid1",
)
CONTAINER_CHECKS = sorted(id_ for id_, check in REGISTRY.items() if check.needs == "containers")
UNOBSERVED = ContainerFacts(
    "shop-1", "running", "healthy", 0, False, "", None, unknown="no base image"
)


@pytest.mark.parametrize("id_", PROCESS_CHECKS)
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
def test_missing_processes_are_unknown(id_, facts):
    findings = _findings(id_, facts)
    assert len(findings) == 1
    assert findings[0].unknown


@pytest.mark.parametrize("id_", PROCESS_CHECKS)
def test_unknown_finding_has_the_reason(id_):
    facts = [container(processes=None, unknown="there is no base image")]
    assert _findings(id_, facts)[0].message == "shop-1: there is no base image"


@pytest.mark.parametrize("id_", CONTAINER_CHECKS)
def test_service_without_containers_is_unknown(id_):
    findings = _findings(id_, [])
    assert [finding.unknown for finding in findings] == [True]


@pytest.mark.parametrize("id_", [id_ for id_ in CONTAINER_CHECKS if id_ != "run.healthy"])
def test_unobserved_container_is_unknown_for_one_reason(id_):
    findings = _findings(id_, [UNOBSERVED])
    assert [(f.unknown, f.message) for f in findings] == [(True, "shop-1: no base image")]


def test_health_needs_no_probe():
    assert _findings("run.healthy", [UNOBSERVED]) == []


def test_path_writable_with_and_without_read_only_root_is_reported_once():
    facts = container(writes=writes("/app"), image_writes=writes("/app"))
    assert [f.file for f in _findings("run.readonly", [facts])] == ["/app"]


def test_changed_files_are_reported_up_to_a_limit():
    changed = ("/app", *(f"/app/{number}" for number in range(8)))
    findings = _findings("run.readonly", [container(changed=changed)])
    assert [f.file for f in findings] == [*(f"/app/{number}" for number in range(5)), None]
    assert "3 more" in findings[-1].message


def test_each_missing_limit_has_a_finding():
    assert len(_findings("run.limits", [container(limits=Limits())])) == 3


def test_finding_shows_no_value_of_an_environment():
    facts = container(
        environment=EnvironmentDigests({"TOKEN": "digest-a"}, {"TOKEN": "digest-b"}, {})
    )
    findings = _findings("run.environment", [facts])
    assert findings
    assert "digest" not in repr(findings)


def test_program_that_was_not_run_is_unknown():
    findings = _findings("run.programs", ProgramFacts())
    assert [finding.unknown for finding in findings] == [True]


def test_fault_beside_an_unknown_is_found():
    facts = [container(processes=None), *with_process(uids=(0,) * 4)]
    assert {f.unknown for f in _findings("run.nonroot", facts)} == {True, False}
