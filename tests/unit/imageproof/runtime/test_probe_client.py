"""Tests of the probe's client: its container, and the parser of its answer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.runtime.probe_client import (
    Limits,
    Process,
    Socket,
    Writes,
    parse_answer,
    parse_status,
    run_probe,
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
    "writes": {"user": "1:2", "read_only": True, "paths": ["/tmp"], "tried": 9, "incomplete": ""},
    "unknown": {},
}


# --- its answer


def test_status_is_parsed():
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
def test_missing_status_line_is_not_parsed_as_safe(changes, name, value):
    status = {k: v for k, v in (STATUS | changes).items() if v is not None}
    assert getattr(parse_status(7, status), name) == value


def test_status_of_this_process_is_parsed():
    """Real output of this host's kernel."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}
    process = parse_status(os.getpid(), status)
    assert process.uids[:3] == os.getresuid()
    assert process.gids[:3] == os.getresgid()
    assert sorted(process.groups) == sorted(os.getgroups())
    assert process.name == Path("/proc/self/comm").read_text().rstrip("\n")
    assert process.parent == os.getppid()


def test_every_part_of_an_answer_is_parsed():
    result = parse_answer(ANSWER)
    assert [(p.pid, p.awaited) for p in result.processes or ()] == [(1, 16384), (7, 0)]
    assert result.sockets == (Socket("tcp", "0.0.0.0", 8000, 7),)
    assert result.limits == Limits(5, None, None, missing=("cpu",))
    assert result.kills == 2
    assert result.environment == {"PATH": "digest"}
    assert result.mounts == ("/", "/tmp")
    assert result.writes == Writes("1:2", True, ("/tmp",), 9)


def test_missing_part_is_unknown():
    parts = ("sockets", "limits", "environment", "mounts", "writes", "awaited")
    reasons = {part: f"no {part}\x1b[2J" for part in parts}
    result = parse_answer({**ANSWER, **dict.fromkeys(parts), "unknown": reasons})
    assert (
        result.sockets
        is result.limits
        is result.environment
        is result.mounts
        is result.writes
        is None
    )
    assert [p.awaited for p in result.processes or ()] == [None, 0]
    assert result.unknown["sockets"] == "no sockets"
    assert result.kills == 0


def test_paths_have_no_escape_sequences():
    answer = {**ANSWER, "writes": {**ANSWER["writes"], "paths": ["/a\x1b]0;x\x07b"]}}
    result = parse_answer(answer)
    assert result.writes
    assert not any(char < " " for path in result.writes.paths for char in path)


# --- its container


def test_probe_shares_only_the_pid_namespace():
    options: dict[str, Any] = {}

    def run(image: str, command: list[str], **keywords: Any) -> list[tuple[str, bytes]]:
        options.update(keywords, image=image, command=command)
        return [("stderr", b"a warning\n"), ("stdout", json.dumps(ANSWER).encode())]

    engine: Any = SimpleNamespace(whales=SimpleNamespace(run=run))
    result = run_probe(engine, "shop", "base", ["/tmp/", "/"], key=b"key")
    assert result == parse_answer(ANSWER)
    assert options["pid"] == "container:shop"
    assert options["networks"] == ["none"]
    assert options["cap_drop"] == ["ALL"]
    assert "SYS_ADMIN" not in options["cap_add"]
    assert options["read_only"]
    assert options["remove"]
    assert options["security_options"] == ["no-new-privileges"]
    assert options["command"][:3] == ["-I", "-S", "-c"]
    request = json.loads(options["command"][4])
    assert request["writable"] == ["/tmp", "/"]
    assert request["key"] == b"key".hex()
    assert request["throwaway"] is False
