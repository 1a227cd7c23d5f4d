"""Tests of the collection of deep facts: only what the checks need is started."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.deep import double_build, stack_trial
from imageproof.deep.double_build import BuildFacts
from imageproof.deep.stack_trial import TrialFacts
from imageproof.deep.teardown import TeardownFacts
from imageproof.docker.client import Engine
from imageproof.errors import StackFailed
from imageproof.verify import run
from imageproof.verify.judge import Subject
from imageproof.verify.request import Request
from tests.support.sample_facts import contract, service_contract

TRIAL, TEARDOWN, BUILD = TrialFacts(bound=1), TeardownFacts(), BuildFacts(layers=1)


@pytest.mark.parametrize(
    ("needs", "tried", "trial", "teardown"),
    [
        ({"trial"}, ["shop"], TRIAL, None),
        ({"teardown"}, [], None, TEARDOWN),
        ({"trial", "teardown"}, ["shop"], TRIAL, TEARDOWN),
    ],
)
def test_stack_trial_covers_only_needed_facts(monkeypatch, needs, tried, trial, teardown):
    def run_stack_trial(_contract: Any, _engine: Any, names: list[str], *, teardowns: bool) -> Any:
        assert names == tried
        return dict.fromkeys(names, TRIAL), TEARDOWN if teardowns else None

    monkeypatch.setattr(stack_trial, "run_stack_trial", run_stack_trial)
    subjects = [Subject("shop", "shop:local", service_contract())]
    (subject,), facts = run._run_deep(contract(), Engine(()), subjects, needs)
    assert (subject.trial, subject.build, facts) == (trial, None, teardown)


def test_double_build_starts_no_stack_trial(monkeypatch):
    monkeypatch.setattr(double_build, "build_twice", lambda *_: {"shop": BUILD})
    subjects = [Subject("shop", "shop:local", service_contract())]
    (subject,), facts = run._run_deep(contract(), Engine(()), subjects, {"build"})
    assert (subject.trial, subject.build, facts) == (None, BUILD, None)


@pytest.mark.parametrize("required", [True, False])
def test_stopped_stack_is_an_error_only_if_it_is_required(monkeypatch, required):
    monkeypatch.setattr(Engine, "containers", lambda *_, **__: [])
    request = Request(only="run", running=required)
    if not required:
        assert run._containers_by_name(contract(), Engine(()), request, []) == {}
        return
    with pytest.raises(StackFailed, match="the stack is not running") as caught:
        run._containers_by_name(contract(), Engine(()), request, [])
    assert "`./inv up`" in (caught.value.hint or "")
