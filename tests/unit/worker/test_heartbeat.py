"""Tests of worker.heartbeat and worker.probe: a recent beat is healthy, an old one is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.heartbeat import Heartbeat
from worker.probe import problem

PROBE = Path(__file__).parents[3] / "worker" / "probe.py"


def test_a_beat_is_healthy_until_its_deadline(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    Heartbeat(path, lambda: 1000.0).beat(deadline_seconds=15)
    assert problem(str(path), 1000.0) is None
    assert problem(str(path), 1015.0) is None
    assert problem(str(path), 1021.0) == "heartbeat is 21 s old, bound 15 s: the loop has stalled"


@pytest.mark.parametrize("now", [0.0006, 32897.9959999, 2.0**40 + 0.5])
def test_a_beat_is_healthy_at_its_own_time(now: float, tmp_path: Path) -> None:
    """A rounded time could lie in the future."""
    path = tmp_path / "heartbeat"
    Heartbeat(path, clock=lambda: now).beat(1)
    assert problem(str(path), now) is None


def test_a_new_beat_replaces_the_old_file(tmp_path: Path) -> None:
    now = iter([1000.0, 2000.0])
    heartbeat = Heartbeat(tmp_path / "heartbeat", lambda: next(now))
    heartbeat.beat(15)
    heartbeat.beat(15)
    assert problem(str(heartbeat.path), 2001.0) is None
    assert [path.name for path in tmp_path.iterdir()] == ["heartbeat"]


@pytest.mark.parametrize("content", ["", "x y", "1", "1 2 3", "nan nan", "é"])
def test_an_invalid_heartbeat_is_unhealthy(content: str, tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    path.write_text(content, encoding="utf-8")
    assert problem(str(path), 1.0) is not None


def test_a_missing_heartbeat_or_one_before_a_reboot_is_unhealthy(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    assert problem(str(path), 1.0) == "no heartbeat yet"
    Heartbeat(path, lambda: 1000.0).beat(15)
    assert problem(str(path), 10.0) == "the heartbeat is from before the machine started"


def test_a_beat_does_not_follow_a_symbolic_link(tmp_path: Path) -> None:
    """Other users may write to /tmp."""
    target = tmp_path / "target"
    (tmp_path / "heartbeat.new").symlink_to(target)
    with pytest.raises(OSError, match=r"heartbeat\.new"):
        Heartbeat(tmp_path / "heartbeat").beat(15)
    assert not target.exists()


def _probe(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(PROBE), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_the_probe_runs_isolated_and_exits_with_1_on_an_old_beat(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    Heartbeat(path).beat(deadline_seconds=3600)
    assert _probe(path).returncode == 0
    Heartbeat(path).beat(deadline_seconds=-1)
    old = _probe(path)
    assert (old.returncode, old.stderr) == (1, "")
    assert old.stdout.endswith("the loop has stalled\n")
