"""The probe: a program that reports what the kernel knows of a service's processes.

The probe runs in a container of its own, which shares the pid namespace of the service. That
container may have any Python from 3.9 on and nothing else. So probe_client.py passes the text of
this file and of write_probe.py to `python3 -I -S -c`. Both files may import only the standard
library; this file imports write_probe.py too.

The argument is a request in JSON, the output is an object in JSON. Keys of the request:

    key         hexadecimal key of the environment digests: no value leaves the probe
    writable    paths below which the contract allows writes; not tried
    throwaway   whether files may be opened for writing, because the container is a throwaway
    seconds     time limit of the walk over the files

A part that could not be read is null; "unknown" holds the reason.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof.runtime.write_probe import read_mounts, to_text, try_writes

PROC = Path("/proc")
STATUS_FIELDS = frozenset(
    {
        *("Name", "State", "PPid", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp"),
        *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn", "SigCgt"),
    }
)
# Init programs: they start the service as their first child, and wait.
INITS = frozenset({"docker-init", "tini", "tini-static", "dumb-init", "catatonit"})
# System call numbers of rt_sigtimedwait(2), for programs of 64 and 32 bits, by machine. The field
# SigBlk of /proc/PID/status does not show the signals that this call waits for.
SIGTIMEDWAIT = {"x86_64": {"128", "177", "421"}, "aarch64": {"137", "177", "421"}}
# States in /proc/PID/net/tcp and udp (include/net/tcp_states.h).
TCP_LISTEN = "0A"
UDP_UNCONNECTED = "07"
MAX_SECONDS = 60  # a file system that hangs must not keep the probe running
UNBOUNDED = 1 << 60  # cgroup v1 writes "no bound" as a number near 2**63
MAX_TRIES = 20
PAUSE_SECONDS = 0.05  # between tries

Statuses = Mapping[int, Mapping[str, str]]  # /proc/PID/status by pid


def _read(path: Path) -> str:
    return to_text(path.read_bytes())


# --- processes


def read_processes(proc: Path = PROC) -> dict[int, dict[str, str]]:
    """Return the status of every process of the container (proc(5))."""
    for _ in range(MAX_TRIES):
        statuses = dict(_read_statuses(proc))
        # For its first milliseconds a process of `docker exec`, such as a health check, is runc
        # and runs as root. Then read again.
        if not any(s["PPid"] == "0" and s["Name"].startswith("runc:[") for s in statuses.values()):
            break
        time.sleep(PAUSE_SECONDS)
    return statuses


def _read_statuses(proc: Path) -> Iterator[tuple[int, dict[str, str]]]:
    first = _read_cgroups(proc / "1")
    for pid in sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            lines = _read(proc / str(pid) / "status").split("\n")
            status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            if pid != os.getpid() and _same_container(first, _read_cgroups(proc / str(pid))):
                yield pid, {name: status[name] for name in STATUS_FIELDS & status.keys()}


def _read_cgroups(process: Path) -> dict[str, str]:
    """Return the path of a process in each cgroup hierarchy (cgroups(7))."""
    fields = (line.split(":", 2) for line in _read(process / "cgroup").splitlines())
    return {hierarchy: path for _, hierarchy, path in fields}


def _same_container(first: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether a process's cgroups are those of the container's first process, or below.

    Otherwise the process belongs to another container in the same pid namespace, such as the
    probe's own or that of `./inv debug`.
    """
    comparable = [name for name in first if first[name] != "/" and name in other]
    return not comparable or any(
        f"{other[name]}/".startswith(f"{first[name]}/") for name in comparable
    )


def main_process(statuses: Statuses, proc: Path = PROC) -> int:
    """Return the pid of the service: the first process, or the first child of an init."""
    children = [pid for pid, status in statuses.items() if status["PPid"] == "1"]
    is_init = (proc / "1/exe").readlink().name in INITS
    return min(children) if is_init and children else 1


def read_awaited_signals(proc: Path = PROC) -> int:
    """Return the signals that a thread of process 1 waits for, as an init does (a bit set)."""
    numbers = SIGTIMEDWAIT.get(os.uname().machine)
    if numbers is None:
        raise ValueError(f"the system calls of {os.uname().machine} are not known")
    signals = 0
    for thread in (proc / "1/task").iterdir():
        for _ in range(MAX_TRIES):
            call = _read(thread / "syscall").split()
            if call[0] != "running":  # only a thread that waits has a system call to show
                break
            time.sleep(PAUSE_SECONDS)
        if call[0] in numbers:
            with (proc / "1/mem").open("rb", buffering=0) as memory:
                memory.seek(int(call[1], 16))
                signals |= int.from_bytes(memory.read(8), sys.byteorder)
    return signals


# --- sockets


def read_sockets(statuses: Statuses, proc: Path = PROC) -> list[dict[str, Any]]:
    """Return every listening or unconnected socket that a process of the container holds."""
    owners: dict[str, int] = {}  # pid by the target of a descriptor, such as socket:[1234]
    namespaces: dict[str, list[int]] = {}  # pids by network namespace
    for pid in statuses:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            namespaces.setdefault(str((proc / str(pid) / "ns/net").readlink()), []).append(pid)
            for descriptor in (proc / str(pid) / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    owners.setdefault(str(descriptor.readlink()), pid)
    sockets = []
    for pids in namespaces.values():
        for protocol, table in _read_tables(pids, proc).items():
            for address, port, inode in _waiting_sockets(protocol, table):
                # The engine's name server and other containers' processes are not in `owners`.
                if (owner := owners.get(f"socket:[{inode}]")) is not None:
                    sockets.append(
                        {"protocol": protocol, "address": address, "port": port, "pid": owner}
                    )
    return sockets


def _read_tables(pids: Sequence[int], proc: Path) -> dict[str, str]:
    """Return the socket tables of a network namespace by protocol.

    They are read from one of its processes. If that ends in the meantime, as a health check
    does, they are read from the next one.
    """
    for pid in pids:
        net = proc / str(pid) / "net"
        tables = {}
        for protocol in ("tcp6", "udp", "udp6", "tcp"):
            with contextlib.suppress(OSError):  # a kernel without IPv6 has no tcp6
                tables[protocol] = _read(net / protocol)
        if "tcp" in tables:  # it was read last, so the process had not ended before
            return dict(sorted(tables.items()))
    raise ProcessLookupError("every process ended before its sockets were read")


def _waiting_sockets(protocol: str, table: str) -> Iterator[tuple[str, int, str]]:
    """Yield address, port and inode of each waiting socket of /proc/PID/net/tcp or similar."""
    state = TCP_LISTEN if protocol.startswith("tcp") else UDP_UNCONNECTED
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == state:
            address, _, port = fields[1].partition(":")
            yield parse_address(address), int(port, 16), fields[9]


def parse_address(hexadecimal: str) -> str:
    """Return an IP address from the kernel's form: 32-bit words in the machine's byte order."""
    words = [int(hexadecimal[at : at + 8], 16) for at in range(0, len(hexadecimal), 8)]
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


# --- limits


def read_limits(cgroup: Path, pinned: int | None = None) -> dict[str, float | None]:
    """Return the bounds of a container: memory (bytes), pids (processes), cpu (processors).

    None means unbounded; a bound that the kernel does not report is left out. The key `killed`
    has the number of kills for lack of memory.

    Args:
        cgroup: The folder with the container's cgroup.
        pinned: Number of processors that the container is pinned to, if any.
    """
    readers: dict[str, Callable[[], float | None]]
    if (cgroup / "cgroup.controllers").exists():  # docs.kernel.org/admin-guide/cgroup-v2.html
        readers = {
            "memory": lambda: _read_bound(cgroup / "memory.max"),
            "pids": lambda: _read_bound(cgroup / "pids.max"),
            "cpu": lambda: _cpu_bound(*_read(cgroup / "cpu.max").split()),
            "killed": lambda: _read_kills(cgroup / "memory.events"),
        }
    else:  # cgroup v1: a folder for each controller
        readers = {
            "memory": lambda: _read_bound(cgroup / "memory/memory.limit_in_bytes"),
            "pids": lambda: _read_bound(cgroup / "pids/pids.max"),
            "cpu": lambda: _cpu_bound(
                _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
            ),
            "killed": lambda: _read_kills(cgroup / "memory/memory.oom_control"),
        }
    limits = {}
    for name, reader in readers.items():
        with contextlib.suppress(OSError):
            limits[name] = reader()
    if "cpu" in limits and pinned is not None:
        limits["cpu"] = min(limits["cpu"] or pinned, pinned)
    return limits


def _pinned_processors(pid: int) -> int | None:
    allowed = len(os.sched_getaffinity(pid))
    return allowed if allowed < (os.cpu_count() or 1) else None


def _read_bound(file: Path) -> int | None:
    word = _read(file).strip()
    return None if word == "max" or int(word) >= UNBOUNDED else int(word)


def _cpu_bound(quota: str, period: str) -> float | None:
    return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def _read_kills(file: Path) -> int:
    words = _read(file).split()
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0


# --- environment


def read_environment(pid: int, key: bytes, proc: Path = PROC) -> dict[str, str]:
    """Return the variables that a process was started with, and keyed digests of their values."""
    content = (proc / str(pid) / "environ").read_bytes()
    entries = [entry for entry in content.split(b"\0") if entry]
    if not all(b"=" in entry for entry in entries):  # as setproctitle(3) does
        raise ValueError("its process has overwritten its environment")
    pairs = (entry.partition(b"=") for entry in entries)
    return {to_text(name): hmac.new(key, value, "sha256").hexdigest() for name, _, value in pairs}


# --- the whole answer


def answer(request: Mapping[str, Any], proc: Path = PROC) -> dict[str, Any]:
    """Return all parts. A part that cannot be read does not affect the others."""
    statuses = read_processes(proc)
    unknown: dict[str, str] = {}

    def read_part(name: str, reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except (OSError, ValueError, LookupError) as error:
            unknown[name] = f"the probe could not read its {name}: {error}"
            return None

    main = read_part("main", lambda: main_process(statuses, proc)) or 1
    writes_arguments = (request["writable"], request["seconds"], request["throwaway"])
    key = bytes.fromhex(request["key"])
    cgroup = proc / "1/root/sys/fs/cgroup"
    return {
        "processes": {str(pid): status for pid, status in statuses.items()},
        "main": main,
        "awaited": read_part("awaited", lambda: read_awaited_signals(proc)),
        "sockets": read_part("sockets", lambda: read_sockets(statuses, proc)),
        "limits": read_part("limits", lambda: read_limits(cgroup, _pinned_processors(main))),
        "environment": read_part("environment", lambda: read_environment(main, key, proc)),
        "mounts": read_part("mounts", lambda: sorted(read_mounts(proc))),
        "writes": read_part("writes", lambda: try_writes(proc, statuses[main], *writes_arguments)),
        "unknown": unknown,
    }


if __name__ == "__main__":
    signal.alarm(MAX_SECONDS)
    json.dump(answer(json.loads(sys.argv[1])), sys.stdout)
