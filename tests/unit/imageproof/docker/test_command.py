"""Tests of the output of long-running commands."""

from __future__ import annotations

import os
import time

import pytest

from imageproof.docker.command import follow_lines
from imageproof.errors import EngineUnavailable, StackFailed


def _follow(script: str, idle_seconds: float | None = None):
    return follow_lines(["sh", "-c", script], "reading", {"COLOUR": "red"}, idle_seconds)


def test_lines_of_both_outputs_are_yielded_with_the_variables():
    assert list(_follow('echo "$COLOUR"; echo two >&2; printf end')) == ["red\n", "two\n", "end"]


def test_pause_without_a_line_is_reported():
    lines = _follow("echo one; sleep 60", 0.01)
    assert next(line for line in lines if line) == "one\n"
    assert next(lines) is None
    lines.close()


def test_closing_ends_the_command():
    lines = _follow("echo $$; exec sleep 60")
    process = int(next(lines) or 0)
    started = time.monotonic()
    lines.close()
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_failed_command_raises_its_last_line():
    lines = _follow("echo hint; echo no such service >&2; exit 1")
    assert [next(lines), next(lines)] == ["hint\n", "no such service\n"]
    with pytest.raises(StackFailed, match="reading: no such service"):
        next(lines)


def test_missing_docker_program_is_an_engine_error():
    with pytest.raises(EngineUnavailable):
        next(follow_lines(["/nowhere/docker"], "reading", {}))
