"""Tests of the probe: the bounds of a container, from both versions of cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.runtime import probe


def _cgroup_v2(folder: Path, **changes: str) -> Path:
    files = {
        "cgroup.controllers": "cpu memory pids\n",
        "memory.max": "268435456\n",
        "pids.max": "64\n",
        "cpu.max": "50000 100000\n",
        "memory.events": "low 0\noom 1\noom_kill 2\n",
    }
    return _write(folder, files | changes)


def _cgroup_v1(folder: Path, **changes: str) -> Path:
    files = {
        "memory/memory.limit_in_bytes": "268435456\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "pids/pids.max": "64\n",
        "cpu/cpu.cfs_quota_us": "50000\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    return _write(folder, files | changes)


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("version", [_cgroup_v2, _cgroup_v1])
def test_bounds_of_both_cgroup_versions_are_read(tmp_path, version):
    assert probe.read_limits(version(tmp_path)) == {
        "memory": 268435456,
        "pids": 64,
        "cpu": 0.5,
        "killed": 2,
    }


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (_cgroup_v2, {"memory.max": "max\n", "pids.max": "max\n", "cpu.max": "max 100000\n"}),
        (
            _cgroup_v1,
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "pids/pids.max": "max\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
            },
        ),
    ],
)
def test_missing_bound_is_none(tmp_path, version, changes):
    limits = probe.read_limits(version(tmp_path, **changes))
    assert [limits[name] for name in ("memory", "pids", "cpu")] == [None, None, None]


def test_unreported_bound_is_left_out(tmp_path):
    assert probe.read_limits(tmp_path) == {}
    (_cgroup_v1(tmp_path) / "pids/pids.max").unlink()
    assert sorted(probe.read_limits(tmp_path)) == ["cpu", "killed", "memory"]


def test_uncounted_kills_are_zero(tmp_path):
    _cgroup_v1(tmp_path, **{"memory/memory.oom_control": "oom_kill_disable 0\n"})
    assert probe.read_limits(tmp_path)["killed"] == 0


@pytest.mark.parametrize(("quota", "cpu"), [("-1\n", 1), ("50000\n", 0.5), ("400000\n", 1)])
def test_pinned_processors_are_a_bound(tmp_path, quota, cpu):
    _cgroup_v1(tmp_path, **{"cpu/cpu.cfs_quota_us": quota})
    assert probe.read_limits(tmp_path, pinned=1)["cpu"] == cpu
