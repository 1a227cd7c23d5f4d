"""The heartbeat and its probe: fresh is healthy, stale is not, whatever the clock says."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.heartbeat import BOUND_SECONDS, PERIOD_SECONDS, Heartbeat
from worker.probe import problem

PROBE = Path(__file__).parents[3] / "worker" / "probe.py"


def test_a_beat_is_in_time_until_its_deadline(tmp_path: Path) -> None:
    """Up to the bound it is healthy; beyond, one line says how old it is and what the bound is."""
    path = tmp_path / "heartbeat"
    Heartbeat(path, lambda: 1000.0).beat(within=15)
    assert problem(str(path), 1000.0) is None
    assert problem(str(path), 1015.0) is None
    assert problem(str(path), 1021.0) == "heartbeat is 21 s old, bound 15 s: the loop has stalled"


@pytest.mark.parametrize("now", [0.0006, 32897.9959999, 2.0**40 + 0.5])
def test_a_probe_at_the_very_moment_of_the_beat_accepts_it(now: float, tmp_path: Path) -> None:
    """What is written is never later than what the clock said."""
    path = tmp_path / "heartbeat"
    Heartbeat(path, clock=lambda: now).beat(1)
    assert problem(str(path), now) is None


def test_one_slow_turn_is_no_stall() -> None:
    """And a stall is overdue before the health check has asked twice."""
    assert 2 * PERIOD_SECONDS < BOUND_SECONDS < 10


def test_a_new_beat_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """One file, in place at once."""
    now = iter([1000.0, 2000.0])
    heartbeat = Heartbeat(tmp_path / "heartbeat", lambda: next(now))
    heartbeat.beat(15)
    heartbeat.beat(15)
    assert problem(str(heartbeat.path), 2001.0) is None
    assert [path.name for path in tmp_path.iterdir()] == ["heartbeat"]


@pytest.mark.parametrize("content", ["", "x y", "1", "1 2 3", "nan nan", "é"])
def test_a_broken_heartbeat_is_a_problem(content: str, tmp_path: Path) -> None:
    """What cannot be read is never a pass."""
    path = tmp_path / "heartbeat"
    path.write_text(content, encoding="utf-8")
    assert problem(str(path), 1.0) is not None


def test_no_heartbeat_and_one_of_another_boot_are_problems(tmp_path: Path) -> None:
    """The monotonic clock starts anew with the machine."""
    path = tmp_path / "heartbeat"
    assert problem(str(path), 1.0) == "no heartbeat yet"
    Heartbeat(path, lambda: 1000.0).beat(15)
    assert problem(str(path), 10.0) == "the heartbeat is from before the machine started"


def test_a_link_in_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    """/tmp is a folder that others may write to."""
    target = tmp_path / "target"
    (tmp_path / "heartbeat.new").symlink_to(target)
    with pytest.raises(OSError, match=r"heartbeat\.new"):
        Heartbeat(tmp_path / "heartbeat").beat(15)
    assert not target.exists()


def _probe(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(PROBE), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_the_probe_runs_without_site_or_packages(tmp_path: Path) -> None:
    """Exit 0 on a fresh beat by the real clock, 1 and one line on a stale one."""
    path = tmp_path / "heartbeat"
    Heartbeat(path).beat(within=3600)
    assert _probe(path).returncode == 0
    Heartbeat(path).beat(within=-1)
    stale = _probe(path)
    assert (stale.returncode, stale.stderr) == (1, "")
    assert stale.stdout.endswith("the loop has stalled\n")
