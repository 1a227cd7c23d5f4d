"""Tests of the probe: its answer for a /proc that the tests write."""

from __future__ import annotations

import ast
import hmac
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.runtime import probe, probe_client, write_probe

IDS = (os.geteuid(), os.getegid()) if os.geteuid() else (10001, 10001)
STATUS = {
    "Name": "python",
    "State": "S (sleeping)",
    "PPid": "1",
    "Uid": "\t".join([str(IDS[0])] * 4),
    "Gid": "\t".join([str(IDS[1])] * 4),
    "Groups": f"{IDS[1]} ",
    "CapInh": "0000000000000000",
    "CapPrm": "0000000000000000",
    "CapEff": "0000000000000000",
    "CapBnd": "0000000000000000",
    "CapAmb": "0000000000000000",
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "SigBlk": "0000000000000000",
    "SigIgn": "0000000000001000",
    "SigCgt": "0000000000004002",
}
V1 = "5:memory:{0}\n4:pids:{0}\n1:name=systemd:{0}\n0::/\n"
V2 = "0::{0}\n"
KEY = b"k" * 16
REQUEST: dict[str, Any] = {
    "key": KEY.hex(),
    "writable": ["/tmp"],
    "throwaway": True,
    "seconds": 5.0,
}
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...\n"


def _process(proc: Path, pid: int, cgroup: str = V1.format("/docker/a"), **changes: str) -> Path:
    folder = proc / str(pid)
    for name in ("fd", "net", "ns", f"task/{pid}"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = [f"{name}:\t{value}\n" for name, value in (STATUS | changes).items()]
    (folder / "status").write_text("".join([*lines, "Threads:\t1\n"]))
    (folder / "cgroup").write_text(cgroup)
    (folder / "environ").write_bytes(b"")
    (folder / f"task/{pid}/syscall").write_text("232 0x3 0x7f05 0x2\n")
    (folder / "net/tcp").write_text(HEADER)
    if not (folder / "ns/net").is_symlink():
        (folder / "ns/net").symlink_to("net:[4026532]")
    return folder


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with an init and its service, in a container with a few files."""
    folder = tmp_path / "proc"
    first = _process(folder, 1, PPid="0", Name="docker-init")
    (first / "exe").symlink_to("/usr/sbin/docker-init")
    (first / "mountinfo").write_text("85 56 0:43 / / ro,relatime master:3 - overlay overlay rw\n")
    (first / "root").symlink_to(tmp_path / "root")
    (tmp_path / "root/tmp").mkdir(parents=True)
    (tmp_path / "root/tmp").chmod(0o777)
    (tmp_path / "root").chmod(0o555)
    _process(folder, 7)
    (folder / "self").mkdir()
    (folder / "uptime").write_text("1 2\n")
    return folder


def _row(address: str, state: str, inode: int) -> str:
    return f"   0: {address} 00000000:0000 {state} 0:0 00:0 0 10001 0 {inode} 1 0 100 0\n"


# --- processes


def test_only_processes_of_the_container_are_read(proc):
    _process(proc, 42, Name="a: b")
    (proc / "99").mkdir()  # it ended in the meantime
    _process(proc, os.getpid())  # the probe itself
    statuses = probe.read_processes(proc)
    assert list(statuses) == [1, 7, 42]
    assert statuses[42] == {**STATUS, "Name": "a: b"}


@pytest.mark.parametrize(
    ("cgroup", "service", "beside", "below"),
    [
        (V1, "/docker/a", "/docker/ab", "/docker/a/b"),
        (V2, "/../docker-a.scope", "/", "/../docker-a.scope/b"),
        (V2, "/../a", "/../b", "/../a/b"),
    ],
)
def test_processes_of_other_containers_are_left_out(proc, cgroup, service, beside, below):
    _process(proc, 1, cgroup.format(service))
    _process(proc, 7, cgroup.format(beside))
    _process(proc, 8, cgroup.format(below))
    _process(proc, 9, cgroup.format(service))
    assert list(probe.read_processes(proc)) == [1, 8, 9]


def test_without_distinct_cgroups_every_process_counts(proc):
    for pid in (1, 7):
        (proc / f"{pid}/cgroup").write_text("0::/\n")
    assert list(probe.read_processes(proc)) == [1, 7]


def test_process_that_runc_is_starting_is_read_again(proc, monkeypatch):
    _process(proc, 9, PPid="0", Name="runc:[2:INIT]", Uid="0\t0\t0\t0")

    def start(_: float) -> None:
        _process(proc, 9, PPid="0", Name="python")

    monkeypatch.setattr(probe.time, "sleep", start)
    assert probe.read_processes(proc)[9]["Uid"] == STATUS["Uid"]


def test_process_that_stays_named_runc_is_read(proc, monkeypatch):
    _process(proc, 9, PPid="0", Name="runc:[2:INIT]", Uid="0\t0\t0\t0")
    monkeypatch.setattr(probe.time, "sleep", lambda _: None)
    assert probe.read_processes(proc)[9]["Uid"] == "0\t0\t0\t0"


def test_service_is_the_first_child_of_an_init(proc):
    _process(proc, 9)
    _process(proc, 5, PPid="0")  # docker exec
    statuses = probe.read_processes(proc)
    assert probe.main_process(statuses, proc) == 7
    (proc / "1/exe").unlink()
    (proc / "1/exe").symlink_to("/usr/bin/python3.11")
    assert probe.main_process(statuses, proc) == 1


@pytest.mark.parametrize(
    ("machine", "call", "signals"),
    [
        ("x86_64", "128 0x10 0x7f 0x0", 0x4000),
        ("aarch64", "137 0x10 0x7f 0x0", 0x4000),
        ("x86_64", "137 0x10 0x7f 0x0", 0),
        ("x86_64", "-1 0x10 0x7f", 0),
        ("x86_64", "running", 0),
    ],
)
def test_awaited_signals_are_read_from_memory(proc, monkeypatch, machine, call, signals):
    (proc / "1/task/1/syscall").write_text(f"{call}\n")
    (proc / "1/mem").write_bytes(b"\0" * 16 + (0x4000).to_bytes(8, sys.byteorder))
    monkeypatch.setattr(probe.os, "uname", lambda: SimpleNamespace(machine=machine))
    monkeypatch.setattr(probe.time, "sleep", lambda _: None)
    assert probe.read_awaited_signals(proc) == signals


def test_awaited_signals_of_an_unknown_machine_are_refused(proc, monkeypatch):
    monkeypatch.setattr(probe.os, "uname", lambda: SimpleNamespace(machine="s390x"))
    with pytest.raises(ValueError, match="s390x"):
        probe.read_awaited_signals(proc)


# --- sockets


def test_waiting_sockets_have_their_owner(proc):
    (proc / "7/fd/3").symlink_to("socket:[11]")
    (proc / "7/fd/4").symlink_to("socket:[12]")
    (proc / "7/fd/5").symlink_to("socket:[13]")
    (proc / "7/fd/6").symlink_to("/dev/null")
    (proc / "1/net/tcp").write_text(
        HEADER + _row("00000000:1F40", "0A", 11) + _row("0100007F:1F40", "01", 13)
    )
    (proc / "1/net/udp").write_text(HEADER + _row("0100007F:14E9", "07", 12))
    sockets = probe.read_sockets(probe.read_processes(proc), proc)
    assert sockets == [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 8000, "pid": 7},
        {"protocol": "udp", "address": "127.0.0.1", "port": 5353, "pid": 7},
    ]


def test_socket_without_an_owner_is_left_out(proc):
    """The engine's name server listens in each network namespace."""
    (proc / "1/net/tcp").write_text(HEADER + _row("0B00007F:A1B2", "0A", 99))
    assert probe.read_sockets(probe.read_processes(proc), proc) == []


def test_every_network_namespace_is_read(proc):
    for pid, space in ((1, "net:[1]"), (7, "net:[2]")):
        (proc / f"{pid}/ns/net").unlink()
        (proc / f"{pid}/ns/net").symlink_to(space)
        (proc / f"{pid}/fd/3").symlink_to(f"socket:[{pid}]")
        (proc / f"{pid}/net/tcp").write_text(HEADER + _row("00000000:1F40", "0A", pid))
    assert [each["pid"] for each in probe.read_sockets(probe.read_processes(proc), proc)] == [1, 7]


@pytest.mark.parametrize("gone", [1, 7])
def test_process_that_ends_hides_no_socket(proc, gone):
    """A health probe lives for some milliseconds, in the service's network."""
    (stays,) = {1, 7} - {gone}
    (proc / f"{stays}/fd/3").symlink_to("socket:[11]")
    (proc / f"{stays}/net/tcp").write_text(HEADER + _row("00000000:1F40", "0A", 11))
    statuses = probe.read_processes(proc)
    shutil.rmtree(proc / f"{gone}/net")
    assert [each["port"] for each in probe.read_sockets(statuses, proc)] == [8000]


def test_unreadable_network_raises(proc):
    statuses = probe.read_processes(proc)
    for pid in (1, 7):
        shutil.rmtree(proc / f"{pid}/net")
    with pytest.raises(ProcessLookupError):
        probe.read_sockets(statuses, proc)


@pytest.mark.skipif(sys.byteorder != "little", reason="the kernel writes words as the machine does")
@pytest.mark.parametrize(
    ("hexadecimal", "address"),
    [
        ("00000000", "0.0.0.0"),
        ("0B00007F", "127.0.0.11"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "::ffff:127.0.0.1"),
    ],
)
def test_address_is_parsed(hexadecimal, address):
    assert probe.parse_address(hexadecimal) == address


# --- environment


def test_environment_has_digests_instead_of_values(proc):
    (proc / "7/environ").write_bytes(b"API_TOKEN=sword=fish\0EMPTY=\0")
    digests = probe.read_environment(7, KEY, proc)
    assert digests == {
        "API_TOKEN": hmac.new(KEY, b"sword=fish", "sha256").hexdigest(),
        "EMPTY": hmac.new(KEY, b"", "sha256").hexdigest(),
    }


def test_overwritten_environment_is_refused(proc):
    (proc / "7/environ").write_bytes(b"shop: serving\0\0\0PATH=/bin\0")
    with pytest.raises(ValueError, match="overwritten"):
        probe.read_environment(7, KEY, proc)


def test_empty_environment_is_read(proc):
    assert probe.read_environment(7, KEY, proc) == {}


# --- the whole answer


def test_unreadable_part_leaves_the_others(proc):
    (proc / "7/environ").unlink()
    answer = probe.answer(REQUEST, proc)
    assert answer["environment"] is None
    assert "environ" in answer["unknown"]["environment"]
    assert answer["unknown"].keys() == {"environment"}
    assert answer["main"] == 7
    assert answer["writes"]["paths"] == ["/tmp"]


def test_missing_first_process_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe.answer(REQUEST, tmp_path)


def test_probe_program_runs_by_itself(proc):
    """As in the container: both files in one text, no site packages, no path to this project."""
    program = probe_client.probe_program().replace('Path("/proc")', f'Path("{proc}")')
    (proc / "7/environ").write_bytes(b"WEIRD\xff=1\0")
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, json.dumps(REQUEST)],
        capture_output=True,
        cwd="/",
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert answer["processes"].keys() == {"1", "7"}
    assert answer["unknown"] == {}
    result = probe_client.parse_answer(answer)
    assert [each.name for each in result.processes or ()] == ["docker-init", "python"]
    assert list(result.environment or {}) == ["WEIRD\\xff"]


@pytest.mark.parametrize("module", [probe, write_probe])
def test_probe_needs_only_python_3_9(module):
    tree = ast.parse(Path(str(module.__file__)).read_text(), feature_version=(3, 9))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name
        for node in imported
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert {str(name).partition(".")[0] for name in names - {"imageproof.runtime.write_probe"}} <= (
        sys.stdlib_module_names
    )
