"""Tests of the project's lock, with real files and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof import signals
from imageproof.docker import project_lock as module
from imageproof.docker.project_lock import project_lock
from imageproof.errors import MachineError, ProjectBusy

ROOT = Path(__file__).parents[4]
HOLD = """
import sys
from types import SimpleNamespace
from imageproof.docker.project_lock import project_lock
engine = SimpleNamespace(identifier=lambda: "E", project_name="shop")
with project_lock(engine, "up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def messages(tmp_path, monkeypatch) -> list[str]:
    """Keep the lock files in a folder of the test, and record the lines that are printed."""
    lines: list[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module.console, "say", lines.append)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    return lines


def _engine(project: str = "shop", engine_id: str = "E") -> Any:
    return SimpleNamespace(identifier=lambda: engine_id, project_name=project)


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Hold the lock of `_engine()` in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_command_waits_and_names_the_first_once(holder, messages):
    threading.Timer(0.2, holder.stdin.close).start()
    with project_lock(_engine(), "down"):
        assert holder.wait() == 0
    assert len(messages) == 1
    assert f'waiting for "./inv up" (pid {holder.pid}, since ' in messages[0]


def test_refusal_instead_of_a_wait_names_the_holder(holder):
    with (
        pytest.raises(ProjectBusy, match=rf'"./inv up" \(pid {holder.pid}, since') as caught,
        project_lock(_engine(), "down", wait=False),
    ):
        pass
    assert caught.value.status == 3
    assert caught.value.hint


def test_killed_holder_leaves_no_lock(holder, messages):
    holder.kill()
    holder.wait()
    with project_lock(_engine(), "down", wait=False):
        pass
    assert messages == []


def test_commands_of_other_projects_and_engines_are_free(holder):
    for other in (_engine("shop-2"), _engine(engine_id="F")):
        with project_lock(other, "up", wait=False):
            pass


def test_readers_share_the_lock_and_keep_a_writer_out():
    with (
        project_lock(_engine(), "verify", shared=True),
        project_lock(_engine(), "verify", shared=True, wait=False),
        pytest.raises(ProjectBusy, match="verify"),
        project_lock(_engine(), "up", wait=False),
    ):
        pass


def test_lock_is_free_after_a_failure():
    with pytest.raises(ZeroDivisionError), project_lock(_engine(), "up"):
        raise ZeroDivisionError
    with project_lock(_engine(), "down", wait=False):
        pass


def test_commands_in_one_process_take_turns():
    for command in ("down", "clean", "up"):
        with project_lock(_engine(), command, wait=False):
            pass


def test_signal_ends_the_wait(holder, monkeypatch):
    monkeypatch.setattr(signals, "_received", [])
    threading.Timer(0.1, signals._received.append, [15]).start()
    with pytest.raises(signals.Interruption), project_lock(_engine(), "down"):
        pass


@pytest.mark.parametrize("content", ["", "no holder\n", "1 x\n\0\n", " ended\n"])
def test_unknown_holder_is_another_command(content, tmp_path):
    file = tmp_path / "lock"
    file.write_text(content)
    assert module._holder(file) == "another command"


def test_unusable_folder_is_a_machine_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="file"), project_lock(_engine(), "up"):
        pass


def test_lock_file_is_not_written_through_a_link(tmp_path):
    file = module._lock_file(_engine())
    file.symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError), project_lock(_engine(), "up"):
        pass
    assert not (tmp_path / "victim").exists()
