"""Tests of programs under limits: they end, whatever they do, and nothing of them stays."""

from __future__ import annotations

import fcntl
import os
import sys

import pytest

from imageproof import bounded_process
from imageproof.bounded_process import Ended, run_bounded

ENVIRONMENT = {"PATH": os.environ["PATH"]}
MEMORY = 1 << 28


def _sh(script: str, seconds: float = 60, **options: str) -> Ended:
    return run_bounded(
        ["sh", "-c", script],
        seconds=seconds,
        memory_bytes=MEMORY,
        environment=ENVIRONMENT,
        **options,  # type: ignore[arg-type]
    )


def test_output_messages_and_status_are_returned():
    assert _sh("cat; echo wrong >&2; exit 3", stdin="ä") == Ended(3, "ä", "wrong\n")
    assert _sh("kill -9 $$").status == -9


def test_environment_is_the_given_one_only():
    assert "HOME=" not in _sh("export").output


def test_missing_program_is_an_error():
    with pytest.raises(FileNotFoundError):
        run_bounded(["no-such-program"], seconds=1, memory_bytes=MEMORY, environment=ENVIRONMENT)


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM INT; sleep 60", "sleep 60 & wait"])
def test_program_that_does_not_end_is_killed(script):
    assert _sh(script, seconds=0.2).status is None


def test_processes_that_it_leaves_behind_are_killed(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    assert _sh(f"exec 9<{lock}; flock -s 9; echo held; sleep 60 & exit 0").output == "held\n"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits until each process that holds it has ended


def test_endless_output_is_cut(monkeypatch):
    monkeypatch.setattr(bounded_process, "MAX_OUTPUT_BYTES", 1 << 16)
    ended = _sh("yes")
    assert len(ended.output) == 1 << 16
    assert ended.status


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA binds on Linux only")
def test_memory_is_bounded():
    ended = run_bounded(
        [sys.executable, "-c", "x = bytes(1 << 30)"],
        seconds=60,
        memory_bytes=MEMORY,
        environment=ENVIRONMENT,
    )
    assert "MemoryError" in ended.messages
