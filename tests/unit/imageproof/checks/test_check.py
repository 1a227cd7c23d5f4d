"""The registry of checks: texts, files, and lookup by id."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from imageproof.checks import REGISTRY, choose_checks, require_check
from imageproof.checks.check import DEEP_FACT_KINDS, FACT_KINDS, FactKind, check
from imageproof.errors import UsageError

CHECKS = [pytest.param(check_, id=check_.id) for check_ in REGISTRY.values()]


@pytest.mark.parametrize("check_", CHECKS)
def test_id_leads_to_the_file(check_):
    prefix, _, name = check_.id.partition(".")
    module = check_.function.__module__.removeprefix("imageproof.checks.")
    assert module in (prefix, f"{prefix}.{name.replace('-', '_')}")


@pytest.mark.parametrize("check_", CHECKS)
def test_texts_are_plain(check_):
    for text in (check_.title, check_.why, check_.remedy, check_.reference):
        assert text.strip()
        assert text == text.strip()
    assert not check_.title.endswith(".")
    assert "\n" not in check_.title
    assert check_.id.count(".") == 1
    assert check_.id == check_.id.lower()


def test_each_kind_of_facts_is_described():
    kinds = {kind for literal in get_args(FactKind) for kind in get_args(literal) or (literal,)}
    assert set(FACT_KINDS) == kinds
    assert kinds > DEEP_FACT_KINDS


def test_second_check_with_an_id_is_refused():
    with pytest.raises(ValueError, match="two checks have the id size\\.budget"):
        check("size.budget", "image", title="", why="", remedy="", reference="")(lambda *_: ())


def test_check_is_found_by_its_id():
    assert require_check("size.budget") is REGISTRY["size.budget"]


def test_prefix_chooses_each_check_with_it():
    assert {c.id for c in choose_checks("size")} == {"size.budget", "size.growth", "size.waste"}
    assert choose_checks("size.budget") == [REGISTRY["size.budget"]]
    assert choose_checks(None) == list(REGISTRY.values())


@pytest.mark.parametrize(
    ("id_", "hint"),
    [("size", "size.budget"), ("secret.envs", "secret.env"), ("zzz", "all: base.")],
)
def test_unknown_id_is_refused_with_similar_ids(id_, hint):
    with pytest.raises(UsageError) as caught:
        require_check(id_)
    assert caught.value.status == 2
    assert hint in (caught.value.hint or "")


def test_check_is_deep_or_project_wide_by_its_needs():
    image_check = replace(REGISTRY["size.budget"], needs="build")
    assert image_check.is_deep
    assert not image_check.is_project_wide
    assert REGISTRY["env.parity"].is_project_wide
