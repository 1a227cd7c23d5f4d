"""ops.facts.running: a process out of what the kernel says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ops.errors import StackFailed
from ops.facts import running
from ops.facts.running import PROBE, Process, parse_status, read_containers

STATUS = {
    "Pid": "7",
    "Name": "python",
    "Uid": "1\t2\t3\t4",
    "Gid": "5\t6\t7\t8",
    "Groups": "0 10001 ",
    "CapPrm": "00000000a80425fb",
    "CapEff": "0000000000000400",
    "CapAmb": "0000000000000001",
    "NoNewPrivs": "1",
}


def test_every_line_that_matters_is_read():
    assert parse_status(STATUS) == Process(
        pid=7,
        name="python",
        uids=(1, 2, 3, 4),
        gids=(5, 6, 7, 8),
        groups=(0, 10001),
        effective=0x400,
        permitted=0xA80425FB,
        ambient=1,
        no_new_privileges=True,
    )


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"NoNewPrivs": "0"}, "no_new_privileges", False),
        ({"NoNewPrivs": None}, "no_new_privileges", False),
        ({"Groups": ""}, "groups", ()),
        ({"Groups": None}, "groups", ()),
        ({"CapAmb": None}, "ambient", 0),
        ({"Name": "a b:c"}, "name", "a b:c"),
    ],
)
def test_what_a_kernel_leaves_out_is_never_read_as_safe_by_mistake(changes, name, value):
    status = {k: v for k, v in (STATUS | changes).items() if v is not None}
    assert getattr(parse_status(status), name) == value


def test_the_status_of_this_very_process_is_read():
    """What this machine's kernel writes, not what a test makes up."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = parse_status({k: v.strip() for k, _, v in (line.partition(":") for line in lines)})
    assert found.pid == os.getpid()
    assert found.uids[:3] == os.getresuid()
    assert found.gids[:3] == os.getresgid()
    assert sorted(found.groups) == sorted(os.getgroups())
    assert found.name == Path("/proc/self/comm").read_text().rstrip("\n")


def _probe(proc: Path) -> list[Process]:
    """What the very text that runs in the probe's container sees in a made-up /proc."""
    text = PROBE.replace("/proc", str(proc))
    probe = subprocess.run(
        [sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=True
    )
    return sorted(map(parse_status, json.loads(probe.stdout)), key=lambda process: process.pid)


def _status(proc: Path, pid: str, **changes: str) -> None:
    (proc / pid).mkdir(parents=True)
    lines = [f"{name}:\t{value}\n" for name, value in (STATUS | {"Pid": pid} | changes).items()]
    (proc / pid / "status").write_text("".join([*lines, "Threads: 1\n"]))


def test_the_probe_sees_every_process_and_nothing_else(tmp_path):
    _status(tmp_path, "1", Name="tini")
    _status(tmp_path, "42", Name="a\\tb: c")
    (tmp_path / "7").mkdir()  # it ended between the two looks
    (tmp_path / "self").mkdir()
    (tmp_path / "uptime").write_text("1 2\n")
    assert [(p.pid, p.name) for p in _probe(tmp_path)] == [(1, "tini"), (42, "a\\tb: c")]


def test_the_probe_sees_a_process_without_supplementary_groups(tmp_path):
    """Linux writes `Groups:`, a tab and a blank then."""
    _status(tmp_path, "1", Groups=" ")
    assert [process.groups for process in _probe(tmp_path)] == [()]


def _engine(**state: object) -> SimpleNamespace:
    whole = {"Status": "running", **state}
    return SimpleNamespace(containers=lambda _: [{"Id": "i", "Name": "/shop-1", "State": whole}])


def test_without_a_probe_the_processes_are_unknown_and_it_says_why():
    (found,) = read_containers(_engine(), "shop", None)
    assert found.processes is None
    assert "no base image" in found.unknown


def test_processes_of_a_container_that_does_not_run_are_unknown():
    (found,) = read_containers(_engine(Status="exited", OOMKilled=True), "shop", "base")
    assert found.processes is None
    assert found.unknown == "the container is exited"
    assert found.out_of_memory


def test_a_probe_that_fails_leaves_the_processes_unknown(monkeypatch):
    def fail(*_: object) -> None:
        raise StackFailed("looking", "no such image")

    monkeypatch.setattr(running, "read_processes", fail)
    (found,) = read_containers(_engine(), "shop", "base")
    assert (found.processes, found.unknown) == (None, "looking: no such image")


def test_health_and_its_last_words_are_read(monkeypatch):
    monkeypatch.setattr(running, "read_processes", lambda *_: (parse_status(STATUS),))
    health = {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": " refused\n"}]}
    (found,) = read_containers(_engine(Health=health), "shop", "base")
    assert (found.name, found.health, found.last_words) == ("shop-1", "unhealthy", "refused")
    assert [process.pid for process in found.processes or ()] == [7]
    assert found.unknown == ""
