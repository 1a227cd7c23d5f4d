"""Tests of the linters of this repository."""

from __future__ import annotations

from pathlib import Path

from ops.linters import linter_commands
from tests.support.sample_facts import ROOT


def test_every_linter_is_installed_in_the_environment():
    commands = linter_commands(ROOT)
    assert commands.keys() >= {"ruff check", "mypy", "import-linter", "actionlint"}
    for command in commands.values():
        assert Path(command[0]).is_file()


def test_linters_need_no_cache_in_a_folder_that_cannot_be_written(monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    commands = linter_commands(ROOT)
    assert "--no-cache" in commands["ruff check"]
    assert "--no-cache" in commands["ruff format"]
    assert "--cache-dir=/dev/null" in commands["mypy"]
