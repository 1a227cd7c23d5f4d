"""Tests of the test runner: which tests run, which are skipped, in how many processes."""

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
def pytest_arguments(monkeypatch, tmp_path):
    """Return pytest's arguments for a call of the test runner, without running pytest."""
    (tmp_path / "tests/swarm").mkdir(parents=True)
    recorded: list[list[str]] = []

    def run(command, *_):
        recorded.append(command[command.index("--no-loadscope-reorder") + 1 :])
        return 0

    monkeypatch.setattr(signals, "run", run)
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "namespaces need root")

    def run_tests(wanted, arguments=""):
        test_runner.run(tmp_path, wanted, arguments)
        return recorded[-1]

    return run_tests


def test_swarm_tests_are_skipped_with_a_warning_if_the_machine_cannot_run_them(
    pytest_arguments, capsys
):
    assert pytest_arguments([], "-k x") == ["tests", "--ignore=tests/swarm", "-k", "x"]
    messages = capsys.readouterr().err
    assert "not run: tests/swarm, since namespaces need root" in messages
    assert "test, without tests/swarm" in messages


def test_requested_swarm_tests_fail_if_the_machine_cannot_run_them(pytest_arguments):
    with pytest.raises(MachineError, match="namespaces need root") as caught:
        pytest_arguments(["swarm"])
    assert caught.value.status == 3


def test_swarm_tests_run_if_the_machine_can_run_them(pytest_arguments, monkeypatch, capsys):
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "")
    assert pytest_arguments([]) == ["tests"]
    assert pytest_arguments(["swarm", "unit"]) == ["tests/unit", "tests/swarm"]
    assert "not run" not in capsys.readouterr().err


def test_other_parts_do_not_check_for_namespaces(pytest_arguments, capsys):
    assert pytest_arguments(["unit", "e2e"]) == ["tests/unit", "tests/e2e"]
    assert "not run" not in capsys.readouterr().err


def test_project_without_swarm_tests_prints_nothing_about_them(pytest_arguments, tmp_path, capsys):
    (tmp_path / "tests/swarm").rmdir()
    assert pytest_arguments([]) == ["tests"]
    assert "not run" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["tests/swarm", "tests/swarm::test_it", "-x tests/swarm"])
def test_named_path_is_run_instead_of_the_suite(pytest_arguments, word, capsys):
    assert pytest_arguments([], word) == word.split()
    assert pytest_arguments(["unit"], word) == ["tests/unit", *word.split()]
    assert "not run" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["tests/none", "-k tests", "--ignore=tests/swarm"])
def test_argument_that_names_no_test_keeps_the_whole_suite(pytest_arguments, monkeypatch, word):
    monkeypatch.setattr(test_runner, "missing_for_swarm", lambda: "")
    assert pytest_arguments([], word) == ["tests", *word.split()]


def test_failed_tests_raise(pytest_arguments, monkeypatch):
    monkeypatch.setattr(signals, "run", lambda *_: 1)
    with pytest.raises(TestsFailed):
        pytest_arguments(["unit"])


def test_missing_requirement_of_the_swarm_tests_is_named(monkeypatch):
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
    environment = test_runner.pytest_environment({}, processors)
    assert environment == {"PYTEST_XDIST_AUTO_NUM_WORKERS": str(processes)}


def test_number_of_processes_can_be_set_and_bytecode_is_written():
    variables = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/x"}
    environment = test_runner.pytest_environment(variables, 2)
    assert environment == {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "HOME": "/x"}


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
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        # no other plug-ins: they take most of the start time
        env=os.environ
        | {test_runner.PROCESSES_VARIABLE: "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert "assert (6 * 9) == 42" in result.stdout, result.stdout + result.stderr
    assert "1 failed, 1 passed" in result.stdout
    assert "pytest ended with status 1" in result.stderr


def test_files_that_run_first_exist():
    assert [prefix for prefix in SLOWEST_FIRST if not list(ROOT.glob(f"{prefix}*"))] == []
