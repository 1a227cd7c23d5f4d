"""imageproof/checks/base/end_of_life.toml: dates of a day, from sources that it names."""

from __future__ import annotations

from datetime import date

import pytest

from imageproof.checks import REGISTRY
from imageproof.checks.base.components import Part, data, last_day
from tests.support.sample_facts import layer

TABLES = {name: table for name, table in data().items() if isinstance(table, dict)}


def _part(kind: str, version: str) -> Part:
    return Part(kind, version, "/etc/os-release", layer())


def test_the_data_say_of_which_day_they_are_and_where_they_come_from():
    assert isinstance(data()["as-of"], date)
    assert data()["sources"]
    assert str(data()["as-of"]) in REGISTRY["base.supported"].reference


@pytest.mark.parametrize("kind", TABLES)
def test_every_entry_is_a_version_with_its_last_day(kind):
    assert TABLES[kind]
    for version, day in TABLES[kind].items():
        assert type(day) is date, version
        assert all(number.isdecimal() for number in version.split(".")), version


@pytest.mark.parametrize("kind", ["debian", "ubuntu", "alpine", "python", "node"])
def test_something_of_each_kind_was_still_supported_on_that_day(kind):
    assert any(day > data()["as-of"] for day in TABLES[kind].values())


@pytest.mark.parametrize(
    ("version", "entry"), [("3.22.1", "3.22"), ("3.22", "3.22"), ("3.22.0.1", "3.22")]
)
def test_as_much_of_a_version_counts_as_is_on_record(version, entry):
    assert last_day(_part("alpine", version)) == TABLES["alpine"][entry]
    assert last_day(_part("alpine", "3")) is None


@pytest.mark.parametrize("kind", ["sources", "as-of", "rolling", "nothing"])
def test_what_is_no_table_of_dates_is_no_distribution(kind):
    assert last_day(_part(kind, "1")) is None
