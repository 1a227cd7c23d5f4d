"""Tests of imageproof.cli.program and ops.tasks: the command line, as a user meets it."""

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
    ("arguments", "said"),
    [
        (["no-such-command"], "No idea what 'no-such-command' is!"),
        (["explain", "nope"], "there is no check 'nope'"),
        (["verify", "--format", "nope"], "there is no format 'nope'"),
    ],
)
def test_wrong_command_line_exits_with_2_and_a_hint(arguments, said):
    done = inv(*arguments)
    assert done.returncode == 2, done.stderr
    failures = [line for line in done.stderr.splitlines() if line.startswith("✗ ")]
    assert len(failures) == 1
    assert said in failures[0]
    assert "\n→ " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""


def test_debug_adds_the_traceback():
    done = inv("explain", "nope", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "UsageError" in done.stderr
    assert "✗ reading the command line: there is no check 'nope'" in done.stderr


def test_no_command_lists_all_commands_by_group():
    done = inv()
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for group, names in GROUPS.items():
        at = lines.index(f"{group}:")
        listed = [line.split()[0] for line in lines[at + 1 : at + 1 + len(names)]]
        assert listed == names
        assert all(len(line.split()) > 2 for line in lines[at + 1 : at + 1 + len(names)])


@pytest.mark.parametrize("arguments", [["--list"], ["explain", "user.nonroot"], ["doctor"]])
def test_closed_pipe_ends_silently_with_141(arguments):
    """As with `| head`: no traceback, no fault. Invoke prints the first, rich the last."""
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written) as unread:
        done = inv(*arguments, stdout=unread)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["--list"], ["explain", "user.nonroot"]])
def test_full_disk_is_reported_without_traceback(arguments):
    with Path("/dev/full").open("w") as full:
        done = inv(*arguments, stdout=full)
    said = "✗ running this command: no space is left on this machine\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_every_command_is_in_one_group():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(namespace.task_names)


def test_explain_prints_every_field_of_a_check(capsys):
    check = require_check("user.nonroot")
    summary.print_check(check)
    out = capsys.readouterr().out
    for text in (check.why, check.remedy, check.reference, "Needs  image"):
        assert text in out


@pytest.fixture
def broken(monkeypatch):
    """Make a command that raises an error; it is in no group of the project."""
    monkeypatch.setattr(commands, "GROUPS", {"made up": []})
    monkeypatch.setattr(sys, "argv", ["inv", "broken"])

    def made(error: BaseException):
        @command("made up")
        def broken(_: object) -> None:
            """Fail"""
            raise error

        return broken.body

    return made


def test_unexpected_error_is_one_line_without_traceback(broken, capsys, monkeypatch):
    monkeypatch.setattr("imageproof.console.messages", _console)
    with pytest.raises(Exit) as caught:
        broken(ZeroDivisionError("division by zero"))(None)
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert "✗ running this command: a defect of this program: ZeroDivisionError" in said
    assert "Traceback" not in said


def test_other_broken_pipe_is_reported(broken, capsys, monkeypatch):
    """Such as a registry's connection: this process's own output is still read."""
    monkeypatch.setattr("imageproof.console.messages", _console)
    with pytest.raises(Exit) as caught:
        broken(BrokenPipeError(32, "Broken pipe"))(None)
    assert caught.value.code == 1
    assert "Broken pipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (Interruption(signal.SIGTERM), 143), (Exit(code=7), 7)],
)
def test_interruption_and_exit_keep_their_status(broken, error, status):
    with pytest.raises(Exit) as caught:
        broken(error)(None)
    assert caught.value.code == status


def _console():
    from rich.console import Console

    return Console(stderr=True, width=200)
