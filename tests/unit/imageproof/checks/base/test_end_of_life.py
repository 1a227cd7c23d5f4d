"""The end-of-life dates."""

from __future__ import annotations

from datetime import date

import pytest

from imageproof.checks import REGISTRY
from imageproof.checks.base.components import Component
from imageproof.checks.base.end_of_life import data, last_day
from tests.support.sample_facts import layer

TABLES = {name: table for name, table in data().items() if isinstance(table, dict)}


def _component(kind: str, version: str) -> Component:
    return Component(kind, version, "etc/os-release", layer())


def test_data_have_a_date_and_sources():
    assert isinstance(data()["as-of"], date)
    assert data()["sources"]
    assert str(data()["as-of"]) in REGISTRY["base.supported"].reference


@pytest.mark.parametrize("kind", TABLES)
def test_each_entry_is_a_version_with_a_date(kind):
    assert TABLES[kind]
    for version, day in TABLES[kind].items():
        assert type(day) is date, version
        assert all(number.isdecimal() for number in version.split(".")), version


@pytest.mark.parametrize("kind", ["debian", "ubuntu", "alpine", "python", "node"])
def test_each_kind_has_a_version_supported_on_the_date_of_the_data(kind):
    assert any(day > data()["as-of"] for day in TABLES[kind].values())


@pytest.mark.parametrize(
    ("version", "entry"), [("3.22.1", "3.22"), ("3.22", "3.22"), ("3.22.0.1", "3.22")]
)
def test_longest_recorded_part_of_a_version_counts(version, entry):
    assert last_day(_component("alpine", version)) == TABLES["alpine"][entry]
    assert last_day(_component("alpine", "3")) is None


@pytest.mark.parametrize("kind", ["sources", "as-of", "rolling", "nothing"])
def test_key_without_a_table_of_dates_has_no_last_day(kind):
    assert last_day(_component(kind, "1")) is None
