"""ops.suite: which tests are run, and what is said of those that cannot be."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from ops import suite
from ops.errors import MachineError, TestsFailed


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """The command lines of pytest, which is not run."""
    (tmp_path / "tests/swarm").mkdir(parents=True)
    found: list[list[str]] = []

    def run(command, **_):
        found.append(command[3:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(suite, "missing_for_nodes", lambda: "namespaces need root")

    def commands(wanted, arguments=""):
        suite.run(tmp_path, wanted, arguments)
        return found[-1]

    return commands


def test_what_cannot_be_run_is_named_as_not_run(runs, capsys):
    assert runs([], "-k x") == ["tests", "--ignore=tests/swarm", "-k", "x"]
    said = capsys.readouterr().err
    assert "not run: tests/swarm, since namespaces need root" in said
    assert "test, without tests/swarm" in said


def test_asked_for_by_name_it_is_a_failure_of_the_machine(runs):
    with pytest.raises(MachineError, match="namespaces need root") as caught:
        runs(["swarm"])
    assert caught.value.status == 3


def test_where_it_can_be_run_it_is(runs, monkeypatch, capsys):
    monkeypatch.setattr(suite, "missing_for_nodes", lambda: "")
    assert runs([]) == ["tests"]
    assert runs(["swarm", "unit"]) == ["tests/unit", "tests/swarm"]
    assert "not run" not in capsys.readouterr().err


def test_parts_that_need_no_nodes_do_not_ask(runs, capsys):
    assert runs(["unit", "e2e"]) == ["tests/unit", "tests/e2e"]
    assert "not run" not in capsys.readouterr().err


def test_a_project_without_such_tests_is_not_told_of_them(runs, tmp_path, capsys):
    (tmp_path / "tests/swarm").rmdir()
    assert runs([]) == ["tests"]
    assert "not run" not in capsys.readouterr().err


def test_tests_that_fail_are_a_failure(runs, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(TestsFailed):
        runs(["unit"])


def test_what_the_machine_lacks_is_named(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "dockerd" else name)
    assert suite.missing_for_nodes() == "dockerd is not installed"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert suite.missing_for_nodes() == "namespaces need root"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: name)
    refused = SimpleNamespace(returncode=1, stderr="Operation not permitted\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    assert "are refused: Operation not permitted" in suite.missing_for_nodes()
