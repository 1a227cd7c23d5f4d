"""Tests of the prerequisites: versions, programs and disk space."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from imageproof.build.base_image import BaseImage
from imageproof.errors import EngineUnavailable, MachineError
from imageproof.machine import doctor
from imageproof.machine.doctor import (
    REMEDY,
    Prerequisite,
    _check_age,
    _check_disk,
    _check_version,
    examine,
    require_all,
)
from tests.support.sample_facts import contract


@pytest.mark.parametrize(
    ("output", "minimum", "version", "ok"),
    [
        ("v0.13.1", (0, 13), "0.13.1", True),
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-1", (0, 13), "0.13.1", True),
        ("github.com/docker/buildx v0.9.1 ed00243a0ce2", (0, 13), "0.9.1", False),
        ("0.13", (0, 13), "0.13", True),
        ("0.12.99", (0, 13), "0.12.99", False),
        ("1.0.0", (0, 13), "1.0.0", True),
        ("Docker Compose version v2.26.1-4", (2, 24, 4), "2.26.1", True),
        ("2.26.1-4", (2, 24, 4), "2.26.1", True),
        ("2.24.4", (2, 24, 4), "2.24.4", True),
        ("2.24.3", (2, 24, 4), "2.24.3", False),
        ("2.9.0", (2, 24, 4), "2.9.0", False),
        ("5.0.0", (2, 24, 4), "5.0.0", True),
        ("20.10.24+dfsg1", (25, 0), "20.10.24", False),
        ("25.0.0-rc.1", (25, 0), "25.0.0", True),
        ("29.1.3", (25, 0), "29.1.3", True),
        ("3.11.7", (3, 11), "3.11.7", True),
        ("3.9.2", (3, 11), "3.9.2", False),
        ("unknown", (25, 0), "unknown", False),
        ("", (25, 0), "", False),
    ],
)
def test_versions_are_compared_as_numbers(output, minimum, version, ok):
    item = _check_version("it", output, minimum)
    assert (item.found, item.ok) == (version, ok)
    if not ok:
        assert ".".join(map(str, minimum)) in (item.problem or "")
        assert item.remedy == REMEDY


def test_nothing_is_raised_without_a_problem():
    require_all([])
    require_all([Prerequisite("a", "1")])
    assert Prerequisite("a", "1").ok


def test_error_names_what_is_missing_and_the_first_remedy():
    items = [
        Prerequisite("a", "1"),
        Prerequisite("b", "", "none", "get b"),
        Prerequisite("c", "", "x"),
    ]
    with pytest.raises(MachineError, match="missing or too old: b, c") as caught:
        require_all(items)
    assert (caught.value.hint, caught.value.status) == ("get b", 3)


def test_without_a_client_the_engine_is_not_queried(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    items = examine(contract(), None)
    assert [(item.name, item.ok) for item in items] == [("python", True), ("docker client", False)]


def test_missing_tool_of_the_tests_does_not_fail_doctor(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    tools = {"browser": {"programs": ["chromium", "google-chrome"], "package": "chromium"}}
    items = {item.name: item for item in examine(contract(tools=tools), None)}
    assert items["browser"].problem == "the tests need chromium"
    require_all([items["browser"]])


def test_one_of_a_tools_programs_is_enough(monkeypatch):
    installed = {"google-chrome": "/opt/google-chrome"}
    monkeypatch.setattr(doctor.shutil, "which", installed.get)
    tools = {"browser": {"programs": ["chromium", "google-chrome"], "package": "chromium"}}
    items = {item.name: item for item in examine(contract(tools=tools), None)}
    assert (items["browser"].ok, items["browser"].found) == (True, "/opt/google-chrome")


@pytest.mark.parametrize(("free", "ok"), [(3 * 10**9, True), (3 * 10**9 - 1, False)])
def test_too_little_free_space_is_a_problem(monkeypatch, tmp_path, free, ok):
    engine = SimpleNamespace(query=lambda *_: f"{tmp_path}\n")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert _check_disk(engine).ok is ok


@pytest.mark.parametrize("root", ["", "/no/such/folder/of/an/engine"])
def test_disk_of_a_remote_engine_is_not_checked(root):
    item = _check_disk(SimpleNamespace(query=lambda *_: f"{root}\n"))
    assert (item.ok, item.found) == (True, "not on this machine")


def test_engine_that_stops_answering_is_a_problem_of_the_disk():
    def query(*_: str) -> str:
        raise EngineUnavailable("reading", "the Docker engine does not answer", hint="start it")

    item = _check_disk(SimpleNamespace(query=query))
    assert (item.problem, item.remedy) == ("the Docker engine does not answer", "start it")


@pytest.mark.parametrize(("days", "old"), [(1, False), (29, False), (31, True), (400, True)])
def test_old_base_image_is_a_warning_and_no_failure(days, old):
    created = datetime.now(UTC) - timedelta(days=days)
    item = _check_age(BaseImage("base.test/python:1", "sha256:1", "present", created))
    assert item.ok
    assert (item.remedy == "./inv build --pull") is old
    assert (f"{days} days old" in (item.warning or "")) is old


def test_base_image_without_a_date_has_no_warning():
    assert _check_age(BaseImage("base.test/python:1", "", "present")).warning is None
