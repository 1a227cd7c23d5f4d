"""Tests of the scripts of `debug`, in the shell of this machine."""

from __future__ import annotations

import os
import subprocess

import pytest

from imageproof.stack.debug import PS


def _ps(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", PS, "ps", *options], capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("-ef",), ("aux",)])
def test_ps_lists_each_process_with_its_ids_and_command(options):
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            lines = _ps(*options).stdout.splitlines()
        finally:
            child.kill()
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert lines[0].split() == ["PID", "PPID", "UID", "S", "RSS_KB", "COMMAND"]
    row = rows[str(child.pid)]
    assert row[1:3] == [str(os.getpid()), str(os.getuid())]
    assert row[5:] == ["sleep", "60"]


def test_ps_prints_no_control_characters_of_a_command_line():
    with subprocess.Popen(["sh", "-c", "read -r _; : \x1b[31m\n"], stdin=subprocess.PIPE) as child:
        try:
            assert "\x1b" not in _ps().stdout
        finally:
            child.kill()


def test_ps_refuses_options_that_it_would_ignore():
    result = _ps("-o", "pid")
    assert result.returncode == 1
    assert "no procps" in result.stderr
