"""Every check finds its faults and passes its near misses: the examples in examples/."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding
from imageproof.checks.check import CheckFunction
from imageproof.project.project_files import ProjectFiles
from imageproof.project.size_baseline import Baseline
from tests.support.sample_facts import (
    MB,
    SECRET,
    SECRET_BY_SHAPE,
    TITLE_LABEL,
    TODAY,
    Case,
    container,
    contract,
    file,
    image,
    layer,
    service_contract,
    variables,
    with_files,
    with_programs,
)

MODULES = {
    module.stem: importlib.import_module(f"tests.unit.imageproof.checks.examples.{module.stem}")
    for module in sorted(Path(__file__).with_name("examples").glob("*.py"))
}
FAULTS = {id_: cases for module in MODULES.values() for id_, cases in module.FAULTS.items()}
NEAR_MISSES = {
    id_: cases for module in MODULES.values() for id_, cases in module.NEAR_MISSES.items()
}
GOOD: dict[str, Callable[[], Any]] = {
    "image": image,
    "images": lambda: {"shop": image()},
    "containers": lambda: [container()],
    "variables": variables,
}


def _findings(
    id_: str, facts: Any, own_contract: Any = None, function: CheckFunction | None = None
) -> list[Finding]:
    """Return a check's findings, by the sample contract if the case has none of its own."""
    check = REGISTRY[id_]
    default = contract() if check.is_project_wide else service_contract()
    return list((function or check.function)(own_contract or default, facts))


def _fault(case: tuple[Any, ...]) -> tuple[Any, str, Any]:
    """Return facts, expected text and contract of `(facts, text)` or `(facts, text, contract)`."""
    facts, text, *own_contract = case
    return facts, text, own_contract[0] if own_contract else None


def _near_miss(case: Any) -> tuple[Any, Any]:
    """Return facts and contract of a `Case` or of plain facts."""
    return (case.facts, case.contract) if isinstance(case, Case) else (case, None)


def _parameters(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(id_, case, id=f"{id_}-{number}")
        for id_, cases in table.items()
        for number, case in enumerate(cases)
        if id_ in REGISTRY
    ]


def test_each_check_has_faults_and_near_misses():
    assert FAULTS.keys() == REGISTRY.keys()
    assert NEAR_MISSES.keys() == REGISTRY.keys()
    assert all(FAULTS.values())
    assert all(NEAR_MISSES.values())


@pytest.mark.parametrize("prefix", MODULES)
def test_examples_are_in_the_file_of_their_prefix(prefix):
    ids = MODULES[prefix].FAULTS.keys() | MODULES[prefix].NEAR_MISSES.keys()
    assert {id_.partition(".")[0] for id_ in ids} == {prefix}


@pytest.mark.parametrize(("id_", "case"), _parameters(FAULTS))
def test_fault_is_found(id_, case):
    facts, text, own_contract = _fault(case)
    findings = _findings(id_, facts, own_contract)
    assert any(text in finding.message for finding in findings), findings


# Words of a message that compares two values.
_COMPARES = re.compile(
    r", expected |the contract's (?:is|writable)|the limit is| allowed\)"
    r"| in \S+\.yaml, .* in \S+\.yaml$"
)


@pytest.mark.parametrize(("id_", "case"), _parameters(FAULTS))
def test_finding_that_compares_has_both_values(id_, case):
    facts, _, own_contract = _fault(case)
    for finding in _findings(id_, facts, own_contract):
        is_about_a_secret = finding.message.startswith("the secret ")  # its value is not shown
        if _COMPARES.search(finding.message) and not (finding.unknown or is_about_a_secret):
            assert None not in (finding.measured, finding.bound), finding


def test_command_finding_names_both_commands():
    facts = image(command=("python", "-m", "other"))
    (finding,) = _findings("config.exec-form", facts)
    assert "`python -m other`" in finding.message
    assert "`python -m shop`" in finding.message


@pytest.mark.parametrize(("id_", "case"), _parameters(NEAR_MISSES))
def test_near_miss_passes(id_, case):
    assert _findings(id_, *_near_miss(case)) == []


@pytest.mark.parametrize("id_", [id_ for id_, check in REGISTRY.items() if check.needs in GOOD])
def test_good_facts_pass(id_):
    assert _findings(id_, GOOD[REGISTRY[id_].needs]()) == []


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_check_that_finds_nothing_is_noticed(id_):
    """At least one fault gives a violation, and none if the check's function finds nothing."""

    def violations(function: CheckFunction | None = None) -> list[Finding]:
        return [
            finding
            for facts, text, own_contract in map(_fault, FAULTS[id_])
            for finding in _findings(id_, facts, own_contract, function)
            if text in finding.message and not finding.unknown and not finding.warning
        ]

    assert violations()
    assert not violations(lambda *_: ())


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_same_facts_give_the_same_findings(id_):
    for facts, _, own_contract in map(_fault, FAULTS[id_]):
        assert _findings(id_, facts, own_contract) == _findings(id_, facts, own_contract)


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_finding_shows_no_value_of_a_secret(id_):
    for facts, _, own_contract in map(_fault, FAULTS[id_]):
        for finding in _findings(id_, facts, own_contract):
            assert SECRET not in repr(finding)
            assert SECRET_BY_SHAPE not in repr(finding)


# --- single checks


def test_finding_about_a_file_names_file_layer_and_instruction():
    (finding,) = _findings("content.toolchain", with_programs("usr/bin/gcc"))
    assert finding.file == "/usr/bin/gcc"
    assert finding.layer == "sha256:" + "a" * 64
    assert finding.instruction == "COPY a /"
    (finding,) = _findings("content.forbidden", with_programs("usr/bin/npm"))
    assert (finding.file, finding.instruction) == ("/usr/bin/npm", "COPY a /")


def test_size_finding_has_measured_size_budget_and_largest_layer():
    large = image(layers=(layer(size=11 * MB), layer(size=MB, name="b")))
    (finding,) = _findings("size.budget", large)
    assert (finding.measured, finding.bound) == (12 * MB, 10 * MB)
    assert finding.instruction == "COPY a /"


def test_size_finding_without_growth_ends_with_the_largest_layer():
    large = image(layers=(layer(size=12 * MB),))
    baselines = (Baseline("python:3.11", 12 * MB, {"COPY a /": 12 * MB}),)
    (finding,) = _findings(
        "size.budget", replace(large, project_files=ProjectFiles(TODAY, baselines=baselines))
    )
    assert finding.message.endswith("the largest layer has 12.0 MB")


def test_first_unread_account_file_is_reported():
    links = (file(path, kind="link", target="/nix") for path in ("etc/group", "etc/passwd"))
    (finding,) = _findings("fs.orphans", with_files(*links))
    assert (finding.file, finding.unknown) == ("/etc/passwd", True)


def test_each_missing_or_extra_item_has_a_finding():
    strict = service_contract(labels=["a", "b", TITLE_LABEL], absent=["sh", "npm"])
    assert len(_findings("config.labels", image(), strict)) == 2
    facts = with_programs("usr/bin/sh", "usr/bin/npm")
    assert len(_findings("content.forbidden", facts, strict)) == 2
    assert len(_findings("config.ports", image(ports=("80/tcp",)))) == 3


def test_secret_overwritten_by_a_later_env_is_found_in_the_history():
    facts = image(
        environment={"API_TOKEN": ""}, history=(f"ENV API_TOKEN={SECRET}", "ENV API_TOKEN=")
    )
    assert _findings("secret.history", facts)


def test_secret_in_the_environment_is_reported_once():
    facts = image(environment={"API_TOKEN": SECRET}, history=(f"ENV API_TOKEN={SECRET}",))
    assert len(_findings("secret.env", facts)) == 1
    assert _findings("secret.history", facts) == []


def test_image_is_compared_with_its_own_compose_service():
    """The contract names the image, the compose file the service."""
    project = contract(images={"api": service_contract(service="web")})
    good = variables()
    shop = good.compose["shop"]
    facts = replace(good, settings={"api": good.settings["shop"]}, compose={"web": shop})
    assert _findings("env.parity", facts, project) == []
    other_service = replace(facts, compose={"api": shop})
    assert len(_findings("env.parity", other_service, project)) == len(shop)
