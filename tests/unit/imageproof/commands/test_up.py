"""The up command: lint and verify are cached for unchanged inputs."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.commands import lint, up
from imageproof.docker.client import Engine
from imageproof.errors import BuildFailed, LintFailed
from tests.support.sample_facts import contract


@pytest.fixture
def reads(monkeypatch) -> list[str | None]:
    """What the project is; the last of these."""
    known: list[str | None] = ["one"]
    monkeypatch.setattr(up, "project_fingerprint", lambda *_: known[-1])
    return known


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(up.console, "done", lines.append)
    return lines


@pytest.fixture
def steps(tmp_path, reads, said) -> Any:
    return up._Steps(contract(root=tmp_path), Engine(()))


def _count(runs: list[str], said: str | None = "lint") -> Any:
    def run() -> str | None:
        runs.append("ran")
        return said

    return run


def test_step_runs_once_for_an_unchanged_project(steps, said):
    runs: list[str] = []
    for _ in range(3):
        steps.run("lint", "lint", _count(runs))
    assert len(runs) == 1
    assert said[0] == "lint"
    assert "(cached, " in said[1]


@pytest.mark.parametrize("then", ["two", None])
def test_step_runs_again_for_a_changed_or_unknown_project(steps, reads, then):
    runs: list[str] = []
    steps.run("lint", "lint", _count(runs))
    reads.append(then)
    steps.run("lint", "lint", _count(runs))
    assert len(runs) == 2


def test_step_runs_again_after_a_container_restart(steps):
    runs: list[str] = []
    for container in ("a noon", "a noon", "a later", "b later"):
        steps.run("verify", "running", _count(runs), [container])
    assert len(runs) == 3


def test_failures_and_remarks_are_not_cached(steps):
    runs: list[str] = []

    def fail() -> str:
        runs.append("ran")
        raise LintFailed("linting", "no")

    for _ in range(2):
        with pytest.raises(LintFailed):
            steps.run("lint", "lint", fail)
        steps.run("remarks", "remarks", _count(runs, None))
    assert len(runs) == 4


def test_result_is_not_cached_if_a_file_changed_meanwhile(steps, reads):
    runs: list[str] = []

    def edit() -> str:
        reads.append("edited")
        return "lint"

    steps.run("lint", "lint", edit)
    reads.append("one")
    steps.run("lint", "lint", _count(runs))
    assert runs == ["ran"]


# --- lint, beside the build


@pytest.fixture
def linted(monkeypatch) -> list[str]:
    """Record each run of the linters; the first entry is their outcome."""
    runs: list[str] = []

    def report(outcomes: list[str]) -> bool:
        if outcomes == ["bad"]:
            raise LintFailed("linting", "ruff complained")
        return True

    monkeypatch.setattr(lint, "run_linters", lambda *_: runs.append("ran") or runs[:1])
    monkeypatch.setattr(lint, "report", report)
    return runs


def test_lint_is_reported_after_the_build_and_cached(steps, linted, said):
    for _ in range(2):
        with steps.linting():
            said.append("built")
    assert linted == ["ran"]
    assert said[:2] == ["built", "lint"]
    assert "(cached, " in said[2]


def test_lint_runs_again_if_a_file_changed_meanwhile(steps, linted, reads):
    with steps.linting():
        reads.append("two")
    with steps.linting():
        pass
    assert linted == ["ran", "ran"]


def test_lint_is_reported_if_the_build_fails_too(steps, monkeypatch):
    monkeypatch.setattr(lint, "run_linters", lambda *_: ["bad"])
    monkeypatch.setattr(
        lint, "report", lambda _: (_ for _ in ()).throw(LintFailed("linting", "E1"))
    )
    with pytest.raises(LintFailed, match="E1"), steps.linting():
        raise BuildFailed("building", "a step failed")


def test_build_failure_is_raised_if_lint_passes(steps, linted):
    with pytest.raises(BuildFailed), steps.linting():
        raise BuildFailed("building", "a step failed")
