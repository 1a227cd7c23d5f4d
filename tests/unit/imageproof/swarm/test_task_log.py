"""Tests of the last log lines of a task."""

from __future__ import annotations

from imageproof.swarm import task_log
from imageproof.swarm.state import read_stack
from imageproof.swarm.task_log import log_tail
from tests.support.fake_swarm import Snapshot, fake_engine, task


def test_unavailable_log_is_empty(monkeypatch, tmp_path):
    monkeypatch.setattr(task_log, "LOG_TIMEOUT_SECONDS", 0.001)
    snapshot = Snapshot((task("t1"),))
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    (service,) = read_stack(fake_engine(snapshot), "till").values()
    assert log_tail(fake_engine(snapshot, program=str(program)), service.tasks[0]) == []
