"""ops.facts.running: a process out of what the kernel says of it."""

from __future__ import annotations

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


def test_the_probe_reads_real_processes_but_not_itself():
    """The very text that runs in the probe's container, on this machine's /proc."""
    probe = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE], capture_output=True, text=True, check=True
    )
    found = {p.pid: p for p in map(parse_status, running.json.loads(probe.stdout))}
    me = found[os.getpid()]
    assert me.uids == (os.getuid(), os.geteuid(), *me.uids[2:])
    assert me.gids[:2] == (os.getgid(), os.getegid())
    assert me.name == Path("/proc/self/comm").read_text().rstrip("\n")
    assert not [p for p in found.values() if p.pid > os.getpid() and p.name == "no such"]
    assert len(found) == len({p.pid for p in found.values()})


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
