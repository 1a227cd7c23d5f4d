"""ops.suite: which processes run the tests, and with what."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ops import suite
from tests.conftest import HERE, LONGEST


@pytest.mark.parametrize(
    ("processors", "waiting", "processes"),
    [(1, False, 1), (2, False, 2), (1, True, 2), (2, True, 4), (64, False, 8), (64, True, 8)],
)
def test_there_are_more_processes_where_tests_wait(processors, waiting, processes):
    made = suite.environment({}, processors, waiting=waiting)
    assert made == {"PYTEST_XDIST_AUTO_NUM_WORKERS": str(processes)}


def test_a_number_that_is_said_stays_and_bytecode_is_kept():
    given = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/x"}
    made = suite.environment(given, 2, waiting=True)
    assert made == {"PYTEST_XDIST_AUTO_NUM_WORKERS": "3", "HOME": "/x"}


def test_what_follows_comes_last():
    assert suite.command(["tests/unit"], "-n0 -k 'a or b'")[-4:] == [
        "tests/unit", "-n0", "-k", "a or b",
    ]  # fmt: skip
    assert "tests" in suite.command([], "")


FAILS = """
def test_it(): assert 6 * 9 == 42
def test_more(): pass
"""


def test_a_failure_is_shown_as_pytest_shows_it(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(FAILS)
    program = (
        "import sys; from pathlib import Path; from ops import suite;"
        "suite.run(Path(sys.argv[1]), unit=False, e2e=False, arguments='-p no:schemathesis')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=os.environ | {suite.PROCESSES: "1"},
        capture_output=True,
        text=True,
    )
    assert "assert (6 * 9) == 42" in ended.stdout, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "pytest ended with status 1" in ended.stderr


def test_what_is_to_begin_first_is_there():
    assert [name for name in LONGEST if not (HERE / name).exists()] == []
