"""The test runner: which tests run, in how many processes, and which are named as not run."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from imageproof import signals
from imageproof.errors import MachineError, TestsFailed
from ops import test_runner
from tests.conftest import SLOWEST_FIRST
from tests.support.sample_facts import ROOT


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Record pytest's command lines instead of running it."""
    (tmp_path / "tests/swarm").mkdir(parents=True)
    found: list[list[str]] = []

    def run(command, *_):
        found.append(command[command.index("--no-loadscope-reorder") + 1 :])
        return 0

    monkeypatch.setattr(signals, "run", run)
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "namespaces need root")

    def commands(wanted, arguments=""):
        test_runner.run(tmp_path, wanted, arguments)
        return found[-1]

    return commands


def test_swarm_tests_are_named_as_not_run_on_a_machine_that_cannot_run_them(runs, capsys):
    assert runs([], "-k x") == ["tests", "--ignore=tests/swarm", "-k", "x"]
    said = capsys.readouterr().err
    assert "not run: tests/swarm, since namespaces need root" in said
    assert "test, without tests/swarm" in said


def test_requested_swarm_tests_fail_on_a_machine_that_cannot_run_them(runs):
    with pytest.raises(MachineError, match="namespaces need root") as caught:
        runs(["swarm"])
    assert caught.value.status == 3


def test_swarm_tests_run_on_a_machine_that_can_run_them(runs, monkeypatch, capsys):
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "")
    assert runs([]) == ["tests"]
    assert runs(["swarm", "unit"]) == ["tests/unit", "tests/swarm"]
    assert "not run" not in capsys.readouterr().err


def test_other_parts_do_not_check_for_namespaces(runs, capsys):
    assert runs(["unit", "e2e"]) == ["tests/unit", "tests/e2e"]
    assert "not run" not in capsys.readouterr().err


def test_project_without_swarm_tests_prints_nothing_about_them(runs, tmp_path, capsys):
    (tmp_path / "tests/swarm").rmdir()
    assert runs([]) == ["tests"]
    assert "not run" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["tests/swarm", "tests/swarm::test_it", "-x tests/swarm"])
def test_named_path_is_run_instead_of_the_suite(runs, word, capsys):
    assert runs([], word) == word.split()
    assert runs(["unit"], word) == ["tests/unit", *word.split()]
    assert "not run" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["tests/none", "-k tests", "--ignore=tests/swarm"])
def test_argument_that_names_no_test_keeps_the_whole_suite(runs, monkeypatch, word):
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "")
    assert runs([], word) == ["tests", *word.split()]


def test_failed_tests_raise(runs, monkeypatch):
    monkeypatch.setattr(signals, "run", lambda *_: 1)
    with pytest.raises(TestsFailed):
        runs(["unit"])


def test_missing_requirement_is_named(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "dockerd" else name)
    assert test_runner.missing_for_swarm() == "dockerd is not installed"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert test_runner.missing_for_swarm() == "namespaces need root"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: name)
    refused = SimpleNamespace(returncode=1, stderr="Operation not permitted\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    assert "are refused: Operation not permitted" in test_runner.missing_for_swarm()


@pytest.mark.parametrize(("processors", "processes"), [(1, 2), (2, 3), (64, 8)])
def test_more_worker_processes_than_processors(processors, processes):
    made = test_runner.pytest_environment({}, processors)
    assert made == {"PYTEST_XDIST_AUTO_NUM_WORKERS": str(processes)}


def test_given_number_of_processes_wins_and_bytecode_is_written():
    given = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/x"}
    made = test_runner.pytest_environment(given, 2)
    assert made == {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "HOME": "/x"}


def test_pytest_arguments_come_last():
    assert test_runner.pytest_command(["tests/unit"], "-n0 -k 'a or b'")[-4:] == [
        "tests/unit", "-n0", "-k", "a or b",
    ]  # fmt: skip


FAILS = """
def test_it(): assert 6 * 9 == 42
def test_more(): pass
"""


def test_pytest_failure_is_printed_unchanged(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(FAILS)
    program = (
        "import sys; from pathlib import Path; from ops import test_runner;"
        "test_runner.run(Path(sys.argv[1]), (), arguments='-p xdist -n0')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        # without other plug-ins, which take most of the start
        env=os.environ | {test_runner.PROCESSES: "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert "assert (6 * 9) == 42" in ended.stdout, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "pytest ended with status 1" in ended.stderr


def test_files_that_run_first_exist():
    assert [prefix for prefix in SLOWEST_FIRST if not list(ROOT.glob(f"{prefix}*"))] == []
