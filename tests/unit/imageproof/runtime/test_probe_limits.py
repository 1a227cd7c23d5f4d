"""imageproof.runtime.probe: a container's bounds, as cgroups of either version say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.runtime import probe


def _unified(folder: Path, **changes: str) -> Path:
    files = {
        "cgroup.controllers": "cpu memory pids\n",
        "memory.max": "268435456\n",
        "pids.max": "64\n",
        "cpu.max": "50000 100000\n",
        "memory.events": "low 0\noom 1\noom_kill 2\n",
    }
    return _written(folder, files | changes)


def _separate(folder: Path, **changes: str) -> Path:
    files = {
        "memory/memory.limit_in_bytes": "268435456\n",
        "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "pids/pids.max": "64\n",
        "cpu/cpu.cfs_quota_us": "50000\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    return _written(folder, files | changes)


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("version", [_unified, _separate])
def test_the_bounds_of_either_version_of_cgroups_are_read(tmp_path, version):
    assert probe.limits(version(tmp_path)) == {
        "memory": 268435456,
        "pids": 64,
        "cpu": 0.5,
        "killed": 2,
    }


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (_unified, {"memory.max": "max\n", "pids.max": "max\n", "cpu.max": "max 100000\n"}),
        (
            _separate,
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "pids/pids.max": "max\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
            },
        ),
    ],
)
def test_no_bound_is_none(tmp_path, version, changes):
    found = probe.limits(version(tmp_path, **changes))
    assert [found[name] for name in ("memory", "pids", "cpu")] == [None, None, None]


def test_what_the_kernel_does_not_say_is_left_out_and_is_no_bound(tmp_path):
    assert probe.limits(tmp_path) == {}
    (_separate(tmp_path) / "pids/pids.max").unlink()
    assert sorted(probe.limits(tmp_path)) == ["cpu", "killed", "memory"]


def test_a_kernel_that_does_not_count_kills_has_counted_none(tmp_path):
    _separate(tmp_path, **{"memory/memory.oom_control": "oom_kill_disable 0\n"})
    assert probe.limits(tmp_path)["killed"] == 0


@pytest.mark.parametrize(("quota", "cpu"), [("-1\n", 1), ("50000\n", 0.5), ("400000\n", 1)])
def test_to_be_kept_on_some_processors_is_a_bound_too(tmp_path, quota, cpu):
    _separate(tmp_path, **{"cpu/cpu.cfs_quota_us": quota})
    assert probe.limits(tmp_path, pinned=1)["cpu"] == cpu
