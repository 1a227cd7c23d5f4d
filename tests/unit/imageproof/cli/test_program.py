"""Tests of imageproof.cli.program and ops.tasks: the command line as a user sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import pytest
from invoke.exceptions import Exit

import imageproof
from imageproof.checks import require_check
from imageproof.cli import command as commands
from imageproof.cli.command import GROUPS, command
from imageproof.report import summary
from imageproof.signals import Interruption
from ops.tasks import namespace
from tests.support.sample_facts import ROOT

PROGRAM = str(ROOT / "tasks.py")


def _environment() -> Mapping[str, str]:
    """Return the environment of a machine without Docker."""
    without = {"PATH": "/nowhere", "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    return os.environ | without | {"COLUMNS": "200", "IMAGEPROOF_ROOT": str(ROOT)}


def inv(
    *arguments: str, stdout: int | TextIO = subprocess.PIPE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as ./inv does, in another folder."""
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=_environment() if env is None else env,
    )


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["no-such-command"], "there is no command 'no-such-command'"),
        (["explain", "nope"], "there is no check 'nope'"),
        (["verify", "--format", "nope"], "--format needs one of table, "),
    ],
)
def test_wrong_command_line_exits_with_2_and_a_hint(arguments, cause):
    result = inv(*arguments)
    assert result.returncode == 2, result.stderr
    failures = [line for line in result.stderr.splitlines() if line.startswith("✗ ")]
    assert len(failures) == 1
    assert cause in failures[0]
    assert "\n→ " in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert result.stdout == ""


def test_debug_adds_the_traceback():
    result = inv("explain", "nope", "--debug")
    assert result.returncode == 2
    assert "Traceback" in result.stderr
    assert "UsageError" in result.stderr
    assert "✗ reading the command line: there is no check 'nope'" in result.stderr


def test_no_command_lists_all_commands_by_group():
    result = inv()
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    for group, names in GROUPS.items():
        start = lines.index(f"{group}:") + 1
        words = [line.split() for line in lines[start : start + len(names)]]
        assert [line[0] for line in words] == names
        assert all(len(line) > 2 for line in words)  # a name and a summary


@pytest.mark.parametrize("arguments", [["--list"], ["explain", "user.nonroot"], ["doctor"]])
def test_closed_pipe_ends_silently_with_141(arguments):
    """As with `| head`. Invoke prints the output of --list, rich that of doctor."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end) as pipe:
        result = inv(*arguments, stdout=pipe)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["--list"], ["explain", "user.nonroot"]])
def test_full_disk_is_reported_without_traceback(arguments):
    with Path("/dev/full").open("w") as full:
        result = inv(*arguments, stdout=full)
    message = "✗ running this command: no space is left on this machine\n→ "
    assert result.returncode == 3
    assert result.stderr.startswith(message)


def test_every_command_is_in_one_group():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(namespace.task_names)


def test_explain_prints_every_field_of_a_check(capsys):
    check = require_check("user.nonroot")
    summary.print_check(check)
    out = capsys.readouterr().out
    for text in (check.why, check.remedy, check.reference, "Needs   image"):
        assert text in out


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes a command which raises an error."""
    monkeypatch.setattr(commands, "GROUPS", {"test": []})
    monkeypatch.setattr(sys, "argv", ["inv", "fail"])

    def make(error: BaseException):
        @command("test")
        def fail(_: object) -> None:
            """Fail"""
            raise error

        return fail.body

    return make


def test_unexpected_error_is_one_line_without_traceback(failing, capsys, monkeypatch):
    monkeypatch.setattr("imageproof.console.messages", _console)
    with pytest.raises(Exit) as caught:
        failing(ZeroDivisionError("division by zero"))(None)
    assert caught.value.code == 1
    messages = capsys.readouterr().err
    assert "✗ running this command: a defect of this program: ZeroDivisionError" in messages
    assert "Traceback" not in messages


def test_other_broken_pipe_is_reported(failing, capsys, monkeypatch):
    """For example a registry's connection: the output of this process is still open."""
    monkeypatch.setattr("imageproof.console.messages", _console)
    with pytest.raises(Exit) as caught:
        failing(BrokenPipeError(32, "Broken pipe"))(None)
    assert caught.value.code == 1
    assert "Broken pipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (Interruption(signal.SIGTERM), 143), (Exit(code=7), 7)],
)
def test_interruption_and_exit_keep_their_status(failing, error, status):
    with pytest.raises(Exit) as caught:
        failing(error)(None)
    assert caught.value.code == status


def _console():
    from rich.console import Console

    return Console(stderr=True, width=200)


def test_version_is_that_of_imageproof():
    assert inv("--version").stdout.split()[-1] == imageproof.__version__
