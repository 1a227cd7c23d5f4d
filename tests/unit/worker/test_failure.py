"""Tests of worker.failure: each code that a review can fail with has a number of attempts."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from worker.child import EXIT_OUT_OF_MEMORY, Bounds, ChildResult
from worker.failure import ATTEMPTS, CERTAIN, ReviewError, ended

WORKER = Path(__file__).parents[3] / "worker"


def _codes() -> set[str]:
    """Return the codes in the sources of the diff program and of the worker."""
    program = (path.read_text() for path in (WORKER / "diff/src").glob("*.mjs"))
    worker = (path.read_text() for path in WORKER.glob("*.py"))
    return {
        *re.findall(r'new DiffError\(\s*"(\w+)"', "".join(program)),
        *re.findall(r'ReviewError\(\s*"(\w+)"', "".join(worker)),
    }


def test_each_code_in_the_sources_has_a_number_of_attempts():
    assert len(_codes()) > 15
    assert _codes() - set(ATTEMPTS) == set()


def test_only_outages_and_chance_are_tried_again():
    outages = {code for code, attempts in ATTEMPTS.items() if attempts is None}
    assert outages == {"registry_unavailable", "cannot_start"}
    twice = {code for code, attempts in ATTEMPTS.items() if attempts == 2}
    assert twice == {"bad_protocol", "out_of_time", "crashed"}


def test_an_unknown_code_is_not_tried_again():
    assert ReviewError("unheard_of", "m").max_attempts == CERTAIN


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (EXIT_OUT_OF_MEMORY, "out_of_memory"),
        (-signal.SIGABRT, "out_of_memory"),
        (-signal.SIGTRAP, "out_of_memory"),
        (-signal.SIGXCPU, "out_of_time"),
        (-signal.SIGKILL, "crashed"),
        (-signal.SIGSEGV, "crashed"),
        (70, "crashed"),
        (0, "crashed"),
    ],
)
def test_the_end_of_a_process_gives_the_code(status: int, code: str):
    error = ended("comparison", ChildResult(status, b"", "at x"), Bounds(1, 2**20, 1))
    assert error.code == code
    assert str(error).startswith("comparison: it")
