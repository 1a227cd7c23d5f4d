"""imageproof.runtime.probe_client and idle: what a probe printed, and the containers that are started for it."""

from __future__ import annotations

import json
import os
import platform
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import MachineError
from imageproof.runtime import idle_container as idling
from imageproof.runtime.idle_container import idle, program
from imageproof.runtime.probe_client import (
    Limits,
    Process,
    Socket,
    Writes,
    look_into,
    parse,
    parse_status,
)

STATUS = {
    "Name": "python",
    "State": "S (sleeping)",
    "PPid": "1",
    "Uid": "1\t2\t3\t4",
    "Gid": "5\t6\t7\t8",
    "Groups": "0 10001 ",
    "CapInh": "0000000000000002",
    "CapPrm": "00000000a80425fb",
    "CapEff": "0000000000000400",
    "CapBnd": "0000000000002000",
    "CapAmb": "0000000000000001",
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "SigBlk": "0000000000000008",
    "SigIgn": "0000000001001000",
    "SigCgt": "0000000000004002",
}
ANSWER: dict[str, Any] = {
    "processes": {"1": STATUS, "7": STATUS},
    "main": 7,
    "awaited": 16384,
    "sockets": [{"protocol": "tcp", "address": "0.0.0.0", "port": 8000, "pid": 7}],
    "limits": {"memory": 5, "pids": None, "killed": 2},
    "environment": {"PATH": "digest"},
    "mounts": ["/", "/tmp"],
    "writes": {"user": "1:2", "read_only": True, "paths": ["/tmp"], "tried": 9, "cut": ""},
    "unknown": {},
}


# --- what it printed


def test_every_line_that_matters_is_read():
    assert parse_status(7, STATUS) == Process(
        pid=7,
        name="python",
        uids=(1, 2, 3, 4),
        gids=(5, 6, 7, 8),
        groups=(0, 10001),
        parent=1,
        state="S",
        effective=0x400,
        permitted=0xA80425FB,
        ambient=1,
        inheritable=2,
        bounding=0x2000,
        no_new_privileges=True,
        seccomp=2,
        caught=0x4002,
        blocked=8,
        ignored=0x1001000,
        awaited=0,
    )


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"NoNewPrivs": "0"}, "no_new_privileges", False),
        ({"NoNewPrivs": None}, "no_new_privileges", False),
        ({"Seccomp": None}, "seccomp", None),
        ({"Groups": ""}, "groups", ()),
        ({"Groups": None}, "groups", ()),
        ({"CapAmb": None}, "ambient", 0),
        ({"Name": "a b:c"}, "name", "a b:c"),
        ({"Name": "a\x1b[31mb"}, "name", "ab"),
    ],
)
def test_what_a_kernel_leaves_out_is_never_read_as_safe_by_mistake(changes, name, value):
    status = {k: v for k, v in (STATUS | changes).items() if v is not None}
    assert getattr(parse_status(7, status), name) == value


def test_the_status_of_this_very_process_is_read():
    """What this machine's kernel writes, not what a test makes up."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}
    found = parse_status(os.getpid(), status)
    assert found.uids[:3] == os.getresuid()
    assert found.gids[:3] == os.getresgid()
    assert sorted(found.groups) == sorted(os.getgroups())
    assert found.name == Path("/proc/self/comm").read_text().rstrip("\n")
    assert found.parent == os.getppid()


def test_all_parts_of_an_answer_are_read():
    seen = parse(ANSWER)
    assert [(p.pid, p.awaited) for p in seen.processes or ()] == [(1, 16384), (7, 0)]
    assert seen.sockets == (Socket("tcp", "0.0.0.0", 8000, 7),)
    assert seen.limits == Limits(5, None, None, missing=("cpu",))
    assert seen.kills == 2
    assert seen.received == {"PATH": "digest"}
    assert seen.mounts == ("/", "/tmp")
    assert seen.writes == Writes("1:2", True, ("/tmp",), 9)


def test_a_part_that_is_not_there_stays_unknown():
    parts = ("sockets", "limits", "environment", "mounts", "writes", "awaited")
    why = {part: f"no {part}\x1b[2J" for part in parts}
    seen = parse({**ANSWER, **dict.fromkeys(parts), "unknown": why})
    assert seen.sockets is seen.limits is seen.received is seen.mounts is seen.writes is None
    assert [p.awaited for p in seen.processes or ()] == [None, 0]
    assert seen.unknown["sockets"] == "no sockets"
    assert seen.kills == 0


def test_no_path_steers_a_terminal():
    answer = {**ANSWER, "writes": {**ANSWER["writes"], "paths": ["/a\x1b]0;x\x07b"]}}
    seen = parse(answer)
    assert seen.writes
    assert not any(char < " " for path in seen.writes.paths for char in path)


# --- the probe


def test_the_probe_shares_the_processes_only_and_may_do_little():
    given: dict[str, Any] = {}

    def run(image: str, command: list[str], **options: Any) -> list[tuple[str, bytes]]:
        given.update(options, image=image, command=command)
        return [("stderr", b"a warning\n"), ("stdout", json.dumps(ANSWER).encode())]

    engine: Any = SimpleNamespace(docker=SimpleNamespace(run=run))
    seen = look_into(engine, "shop", "base", ["/tmp/", "/"], key=b"key")
    assert seen == parse(ANSWER)
    assert given["pid"] == "container:shop"
    assert given["networks"] == ["none"]
    assert given["cap_drop"] == ["ALL"]
    assert "SYS_ADMIN" not in given["cap_add"]
    assert given["read_only"]
    assert given["remove"]
    assert given["security_options"] == ["no-new-privileges"]
    assert given["command"][:3] == ["-I", "-S", "-c"]
    question = json.loads(given["command"][4])
    assert question["writable"] == ["/tmp", "/"]
    assert question["key"] == b"key".hex()
    assert question["throwaway"] is False


# --- the idle container


class Docker:
    """Notes what is done with containers, in order."""

    def __init__(self, failing: str = "") -> None:
        self.done: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.container = self
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        def note(*arguments: Any, **options: Any) -> None:
            if name == "copy":
                file = arguments[0]
                options = {"mode": stat.S_IMODE(file.stat().st_mode), "bytes": file.read_bytes()}
            self.done.append((name, arguments, options))
            if name == self.failing:
                raise MachineError("idle", "no room")

        return note

    def names(self) -> list[str]:
        return [name for name, _, _ in self.done]


def test_an_idle_container_is_made_of_any_image_and_removed():
    docker = Docker()
    engine: Any = SimpleNamespace(docker=docker)
    with idle(engine, "sha256:1", "amd64", "10001:10001") as name:
        assert docker.names() == ["create", "copy", "start"]
    assert docker.names()[-1] == "remove"
    created = docker.done[0]
    assert created[1] == ("sha256:1",)
    assert created[2]["entrypoint"] == f"/{name}"
    assert created[2]["user"] == "10001:10001"
    assert "read_only" not in created[2]
    assert created[2]["cap_drop"] == ["ALL"]
    assert created[2]["networks"] == ["none"]
    assert created[2]["healthcheck"] is False
    copied = docker.done[1]
    assert copied[1][1] == (name, f"/{name}")
    assert copied[2] == {"mode": 0o755, "bytes": program("amd64")}
    assert docker.done[-1][1:] == ((name,), {"force": True, "volumes": True})


@pytest.mark.parametrize("failing", ["create", "copy", "start"])
def test_an_idle_container_that_fails_is_removed_as_well(failing):
    docker = Docker(failing)
    engine: Any = SimpleNamespace(docker=docker)
    with pytest.raises(MachineError), idle(engine, "sha256:1", "amd64", "1:1"):
        pytest.fail("it did not start")
    assert docker.names()[-1] == "remove"


def test_for_a_machine_that_is_not_known_nothing_is_started():
    docker = Docker()
    engine: Any = SimpleNamespace(docker=docker)
    with pytest.raises(MachineError, match="mips"), idle(engine, "sha256:1", "mips", "1:1"):
        pytest.fail("it did not start")
    assert docker.names() == []


def test_its_program_sleeps_and_ends_by_itself(tmp_path):
    """The real one: machine code of this machine, run by its kernel."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        pytest.skip(f"it has no program for {platform.machine()}")
    for seconds in (0, 60):
        file = tmp_path / f"idle-{seconds}"
        file.write_bytes(program(machine, seconds) or b"")
        file.chmod(0o755)
    assert subprocess.run([tmp_path / "idle-0"], timeout=10).returncode == 0
    with subprocess.Popen([tmp_path / "idle-60"]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()


@pytest.mark.parametrize("machine", sorted(idling.CODE))
def test_its_program_finds_its_time_behind_the_code(machine):
    text = program(machine, 77) or b""
    assert len(idling.CODE[machine][1]) == 32
    assert text[:4] == b"\x7fELF"
    assert int.from_bytes(text[-16:-8], "little") == 77
