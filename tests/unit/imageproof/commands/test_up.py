"""Tests of the up command: lint and verify are cached for unchanged inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imageproof.commands import lint, up
from imageproof.commands.lint import Outcome
from imageproof.docker.client import Engine
from imageproof.errors import BuildFailed, LintFailed
from tests.support.sample_facts import contract


@pytest.fixture
def fingerprints(monkeypatch) -> list[str | None]:
    """Replace the project's fingerprint by the last item of this list."""
    values: list[str | None] = ["one"]
    monkeypatch.setattr(up, "project_fingerprint", lambda *_: values[-1])
    return values


@pytest.fixture
def printed(monkeypatch) -> list[str]:
    """Record the lines that end a step."""
    lines: list[str] = []
    monkeypatch.setattr(up.console, "done", lines.append)
    return lines


@pytest.fixture
def steps(tmp_path, fingerprints, printed) -> Any:
    return up._CachedSteps(contract(root=tmp_path), Engine(()))


def _counting(runs: list[str]) -> Callable[[], str]:
    """Return an action that adds an item to `runs`."""

    def action() -> str:
        runs.append("ran")
        return "verified"

    return action


def test_step_runs_once_for_an_unchanged_project(steps, printed):
    runs: list[str] = []
    for _ in range(3):
        steps.run("verify", "static", _counting(runs))
    assert len(runs) == 1
    assert printed[0] == "verified"
    assert "verified (cached, " in printed[1]


@pytest.mark.parametrize("later", ["two", None])
def test_step_runs_again_for_a_changed_or_unknown_project(steps, fingerprints, later):
    runs: list[str] = []
    steps.run("verify", "static", _counting(runs))
    fingerprints.append(later)
    steps.run("verify", "static", _counting(runs))
    assert len(runs) == 2


def test_step_runs_again_after_a_container_restart(steps):
    runs: list[str] = []
    for container in ("a noon", "a noon", "a later", "b later"):
        steps.run("verify", "running", _counting(runs), [container])
    assert len(runs) == 3


def test_failure_is_not_cached(steps):
    runs: list[str] = []

    def fail() -> str:
        runs.append("ran")
        raise LintFailed("linting", "no")

    for _ in range(2):
        with pytest.raises(LintFailed):
            steps.run("verify", "static", fail)
    assert len(runs) == 2


def test_result_is_not_cached_if_a_file_was_edited_meanwhile(steps, fingerprints):
    runs: list[str] = []

    def edit() -> str:
        fingerprints.append("edited")
        return "verified"

    steps.run("verify", "static", edit)
    fingerprints.append("one")
    steps.run("verify", "static", _counting(runs))
    assert runs == ["ran"]


# --- lint, beside the build


@pytest.fixture
def linters(monkeypatch) -> Any:
    """Replace the linters: runs are counted, and return `outcome`."""

    class Linters:
        runs = 0
        outcome = Outcome("tool", ())

        def run(self, *_: object) -> list[Outcome]:
            self.runs += 1
            return [self.outcome]

    fake = Linters()
    monkeypatch.setattr(lint, "run_linters", fake.run)
    return fake


def test_lint_is_printed_after_the_build_and_cached(steps, linters, printed):
    for _ in range(2):
        with steps.lint_during_block():
            printed.append("built")
    assert linters.runs == 1
    assert printed[:2] == ["built", "lint"]
    assert "lint (cached, " in printed[2]


def test_lint_with_warnings_is_not_cached(steps, linters):
    linters.outcome = Outcome("tool", (), ("it may move",))
    for _ in range(2):
        with steps.lint_during_block():
            pass
    assert linters.runs == 2


def test_lint_runs_again_if_a_file_was_edited_meanwhile(steps, linters, fingerprints):
    with steps.lint_during_block():
        fingerprints.append("two")
    with steps.lint_during_block():
        pass
    assert linters.runs == 2


def test_lint_failure_is_raised_if_the_build_fails_too(steps, linters):
    linters.outcome = Outcome("tool", ("E1",))
    with pytest.raises(LintFailed, match="tool complained"), steps.lint_during_block():
        raise BuildFailed("building", "a step failed")


def test_build_failure_is_raised_if_lint_passes(steps, linters):
    with pytest.raises(BuildFailed), steps.lint_during_block():
        raise BuildFailed("building", "a step failed")
