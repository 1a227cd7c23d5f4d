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
