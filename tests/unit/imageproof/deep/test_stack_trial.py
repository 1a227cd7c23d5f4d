"""Tests of the stack trial: only the copies that the checks need are started.

The trial itself needs an engine: tests/defects runs it.
"""

from __future__ import annotations

import pytest

from imageproof.deep import stack_trial
from imageproof.deep.stack_trial import TrialFacts, run_stack_trial
from imageproof.deep.teardown import Teardown
from imageproof.docker.client import Engine
from tests.support.sample_facts import contract

WHOLE = Teardown("up and down")
BROKEN = [Teardown("a start that failed"), Teardown("a start that was interrupted")]


@pytest.fixture
def copies(monkeypatch) -> list[str]:
    """The copies that were started, without an engine."""
    started: list[str] = []

    def run_copy(contract, engine, folder, names):
        started.append("whole")
        return {name: TrialFacts(bound=1) for name in names}, WHOLE

    def run_broken_starts(*_):
        started.append("broken")
        return BROKEN

    monkeypatch.setattr(stack_trial, "_run_copy", run_copy)
    monkeypatch.setattr(stack_trial, "run_broken_starts", run_broken_starts)
    return started


def test_without_teardowns_only_one_copy_is_started(copies):
    trials, teardown = run_stack_trial(contract(), Engine(()), ["shop"], teardowns=False)
    assert copies == ["whole"]
    assert (trials.keys(), teardown) == ({"shop"}, None)


@pytest.mark.parametrize("names", [[], ["shop"]])
def test_teardowns_of_all_three_copies_are_reported(copies, names):
    trials, teardown = run_stack_trial(contract(), Engine(()), names)
    assert sorted(copies) == ["broken", "whole"]
    assert list(trials) == names
    assert teardown
    assert teardown.teardowns == (WHOLE, *BROKEN)
