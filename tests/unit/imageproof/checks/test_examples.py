"""imageproof.checks: every check finds its fault, and lets pass what only resembles one.

The faults and the near misses stand in examples/, a module a group.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding, find
from imageproof.errors import UsageError
from tests.support.sample_facts import (
    MB,
    SECRET,
    SHAPED,
    TITLE_LABEL,
    Case,
    container,
    contract,
    holding,
    image,
    layer,
    service_contract,
    variables,
)

MODULES = [
    importlib.import_module(f"tests.unit.imageproof.checks.examples.{file.stem}")
    for file in sorted(Path(__file__).with_name("examples").glob("*.py"))
]


def _merged(tables: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """The examples of all modules; several may have some of one check."""
    merged: dict[str, list[Any]] = {}
    for table in tables:
        for id_, cases in table.items():
            merged.setdefault(id_, []).extend(cases)
    return merged


FAULTS = _merged([module.FAULTS for module in MODULES])
FINE = _merged([module.FINE for module in MODULES])

GOOD: dict[str, Callable[[], Any]] = {
    "image": image,
    "images": lambda: {"shop": image()},
    "containers": lambda: [container()],
    "variables": variables,
}


def _ask(id_: str, facts: Any, by: Any = None, ask: Any = None) -> list[Finding]:
    """What a check says of facts, by the usual terms if no others are given."""
    check = REGISTRY[id_]
    usual = contract() if check.of_project else service_contract()
    return list((ask or check.function)(by or usual, facts))


def _fault(case: tuple[Any, ...]) -> tuple[Any, str, Any]:
    """(facts, word) or (facts, word, terms)."""
    facts, said, *by = case
    return facts, said, by[0] if by else None


def _fine(case: Any) -> tuple[Any, Any]:
    """Facts, or facts with terms of their own."""
    return (case.facts, case.terms) if isinstance(case, Case) else (case, None)


def _rows(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(id_, case, id=f"{id_}-{number}")
        for id_, cases in table.items()
        for number, case in enumerate(cases)
        if id_ in REGISTRY
    ]


def _found(id_: str, ask: Any = None) -> list[Finding]:
    """What a check finds in its own faults, of that which makes a run fail."""
    found = []
    for case in FAULTS[id_]:
        facts, said, by = _fault(case)
        found += [
            finding
            for finding in _ask(id_, facts, by, ask)
            if said in finding.message and not finding.unknown and not finding.warning
        ]
    return found


def test_every_check_has_examples_of_both_kinds():
    assert FAULTS.keys() == REGISTRY.keys()
    assert FINE.keys() == REGISTRY.keys()
    assert all(FAULTS.values())
    assert all(FINE.values())


@pytest.mark.parametrize(("id_", "case"), _rows(FAULTS))
def test_a_fault_is_found_and_named(id_, case):
    facts, said, by = _fault(case)
    findings = _ask(id_, facts, by)
    assert any(said in finding.message for finding in findings), findings


@pytest.mark.parametrize(("id_", "case"), _rows(FINE))
def test_a_near_miss_passes(id_, case):
    facts, by = _fine(case)
    assert _ask(id_, facts, by) == []


@pytest.mark.parametrize("id_", [id_ for id_, check in REGISTRY.items() if check.needs in GOOD])
def test_what_is_all_right_passes_every_check(id_):
    assert _ask(id_, GOOD[REGISTRY[id_].needs]()) == []


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_a_check_that_never_finds_anything_would_be_noticed(id_):
    """One of its faults at least is found by the check, and by nothing else."""
    assert _found(id_)
    assert not _found(id_, ask=lambda *_: ())


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_the_same_facts_give_the_same_findings(id_):
    for facts, _, by in map(_fault, FAULTS[id_]):
        assert _ask(id_, facts, by) == _ask(id_, facts, by)


# --- what a check says


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_no_finding_shows_the_value_of_a_secret(id_):
    for facts, _, by in map(_fault, FAULTS[id_]):
        for finding in _ask(id_, facts, by):
            assert SECRET not in repr(finding)
            assert SHAPED not in repr(finding)


@pytest.mark.parametrize("check", REGISTRY.values(), ids=list(REGISTRY))
def test_a_check_says_why_it_matters_and_how_to_mend_it(check):
    for text in (check.title, check.why, check.remedy, check.reference):
        assert text.strip()
        assert text == text.strip()
    assert not check.title.endswith(".")
    assert "\n" not in check.title
    assert check.id.count(".") == 1
    assert check.id == check.id.lower()


def test_findings_of_content_name_file_layer_and_instruction():
    (finding,) = _ask("content.toolchain", holding("usr/bin/gcc"))
    assert finding.file == "/usr/bin/gcc"
    assert finding.layer == "sha256:" + "a" * 64
    assert finding.instruction == "COPY a /"
    (finding,) = _ask("content.forbidden", holding("usr/bin/npm"))
    assert (finding.file, finding.instruction) == ("/usr/bin/npm", "COPY a /")


def test_the_size_is_told_against_its_bound_with_the_largest_layer():
    large = image(layers=(layer(size=11 * MB), layer(size=MB, name="b")))
    (finding,) = _ask("size.budget", large)
    assert (finding.measured, finding.bound) == (12 * MB, 10 * MB)
    assert finding.instruction == "COPY a /"


def test_every_missing_thing_is_a_finding_of_its_own():
    needs = service_contract(labels=["a", "b", TITLE_LABEL], absent=["sh", "npm"])
    assert len(list(REGISTRY["config.labels"].function(needs, image()))) == 2
    facts = holding("usr/bin/sh", "usr/bin/npm")
    assert len(list(REGISTRY["content.forbidden"].function(needs, facts))) == 2
    assert len(_ask("config.ports", image(ports=("80/tcp",)))) == 3


def test_a_secret_that_a_later_env_overwrites_is_still_in_the_history():
    facts = image(
        environment={"API_TOKEN": ""}, history=(f"ENV API_TOKEN={SECRET}", "ENV API_TOKEN=")
    )
    assert _ask("secret.history", facts)


def test_a_secret_of_the_environment_is_told_once_only():
    facts = image(environment={"API_TOKEN": SECRET}, history=(f"ENV API_TOKEN={SECRET}",))
    assert len(_ask("secret.env", facts)) == 1
    assert _ask("secret.history", facts) == []


def test_an_image_is_compared_with_its_own_service():
    """An image has the name of the contract, a service that of the compose file."""
    project = contract(images={"api": service_contract(service="web")})
    good = variables()
    shop = good.compose["shop"]
    facts = replace(good, settings={"api": good.settings["shop"]}, compose={"web": shop})
    assert list(REGISTRY["env.parity"].function(project, facts)) == []
    apart = replace(facts, compose={"api": shop})
    assert len(list(REGISTRY["env.parity"].function(project, apart))) == len(shop)


# --- by name


def test_a_check_is_found_by_its_id():
    assert find("size.budget") is REGISTRY["size.budget"]


@pytest.mark.parametrize(
    ("id_", "near"), [("size", "size.budget"), ("secret.envs", "secret.env"), ("zzz", "all: base.")]
)
def test_a_check_that_is_none_is_refused_with_what_is_near_it(id_, near):
    with pytest.raises(UsageError) as caught:
        find(id_)
    assert caught.value.status == 2
    assert near in (caught.value.hint or "")
