"""imageproof.deep.stack_trial: of copies of a stack, only what is looked at is started. More takes an engine."""

from __future__ import annotations

import pytest

from imageproof.deep import stack_trial
from imageproof.deep.trial_facts import Teardown, TrialFacts
from imageproof.docker.client import Engine
from imageproof.verify import run
from imageproof.verify.judge import Subject
from tests.support.sample_facts import contract, service_contract

WHOLE = Teardown("up and down")
BROKEN = [Teardown("a start that failed"), Teardown("a start that was interrupted")]


@pytest.fixture
def begun(monkeypatch) -> list[object]:
    """What was started: the services tried in a whole life, and `ends` for the broken two."""
    seen: list[object] = []

    def whole_life(contract, engine, folder, names):
        seen.append(tuple(names))
        return {name: TrialFacts(bound=1) for name in names}, WHOLE

    def ends(*_):
        seen.append("ends")
        return BROKEN

    monkeypatch.setattr(stack_trial, "_whole_life", whole_life)
    monkeypatch.setattr(stack_trial, "_ends", ends)
    return seen


@pytest.mark.parametrize(
    ("wanted", "tried", "ended"),
    [({"trial"}, ("shop",), False), ({"line"}, (), True), ({"trial", "line"}, ("shop",), True)],
)
def test_what_no_check_looks_at_is_not_started(begun, wanted, tried, ended):
    subjects = [Subject("shop", "shop:local", service_contract())]
    (subject,), line = run._read_deep(contract(), Engine(()), subjects, wanted)
    assert (tried in begun, "ends" in begun) == (True, ended)
    assert (subject.trial is not None) == bool(tried)
    assert (line.teardowns if line else None) == ((WHOLE, *BROKEN) if ended else None)
