"""The probe: what the kernel says of the processes beside it, and what they could write.

It runs in a container that shares the pid namespace of a service. imageproof/runtime/containers.py sends the
very text of this file and of walk.py to `python3 -I -S -c`: nothing but the standard library of
Python 3.9. Its one argument is a question in JSON, its answer one object in JSON:

    key         keys the digests of the environment's values: no value leaves the probe
    writable    paths below which writes are expected, and not tried
    throwaway   whether the container is there only to be looked at, and may be touched
    seconds     how long the walk over its files may take

A part that it could not see stands under "unknown", with the reason.
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

from imageproof.runtime.write_probe import mounts, text, writes

PROC = Path("/proc")
STATUS = frozenset(
    {
        *("Name", "State", "PPid", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp"),
        *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn", "SigCgt"),
    }
)
# Programs that only start another one and wait: the service is their first child.
INITS = frozenset({"docker-init", "tini", "tini-static", "dumb-init", "catatonit"})
# rt_sigtimedwait(2), also of 32 bits. What is waited for is hidden from SigBlk meanwhile.
SIGTIMEDWAIT = {"x86_64": {"128", "177", "421"}, "aarch64": {"137", "177", "421"}}
LISTEN, UNCONNECTED = "0A", "07"  # of TCP and of UDP, include/net/tcp_states.h
LONGEST = 60  # seconds: a file system that hangs must not keep the probe
UNBOUNDED = 1 << 60  # cgroup v1 writes "no bound" as a number near 2**63
NEEDS, PAUSE = 20, 0.05  # seconds

Statuses = Mapping[int, Mapping[str, str]]


def read(path: Path) -> str:
    """The text of a file below /proc."""
    return text(path.read_bytes())


# --- processes


def processes(proc: Path = PROC) -> dict[int, dict[str, str]]:
    """The status of every process of the container (proc(5)), but not of its neighbours."""
    for _ in range(NEEDS):
        found = dict(_statuses(proc))
        # What `docker exec` starts, a health check too, is the engine's own program and root's
        # for the blink of an eye.
        if not any(s["PPid"] == "0" and s["Name"].startswith("runc:[") for s in found.values()):
            break
        time.sleep(PAUSE)
    return found


def _statuses(proc: Path) -> Iterator[tuple[int, dict[str, str]]]:
    first = _cgroups(proc / "1")
    for pid in sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit()):
        # It may end between the two looks.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = read(proc / str(pid) / "status").split("\n")
            status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            if pid != os.getpid() and not _apart(first, _cgroups(proc / str(pid))):
                yield pid, {name: status[name] for name in STATUS & status.keys()}


def _cgroups(process: Path) -> dict[str, str]:
    """Where a process stands, by hierarchy (cgroups(7))."""
    fields = (line.split(":", 2) for line in read(process / "cgroup").splitlines())
    return {hierarchy: place for _, hierarchy, place in fields}


def _apart(first: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether it is of another container, such as a probe or what `./inv debug` opens.

    What runs in the container stands where its first process does, or below.
    """
    telling = [name for name in first if first[name] != "/" and name in theirs]
    return bool(telling) and not any(
        f"{theirs[name]}/".startswith(f"{first[name]}/") for name in telling
    )


def main_process(found: Statuses, proc: Path = PROC) -> int:
    """The service itself: the first process, or what an init started."""
    children = [pid for pid, status in found.items() if status["PPid"] == "1"]
    is_init = (proc / "1/exe").readlink().name in INITS
    return min(children) if is_init and children else 1


def awaited(proc: Path = PROC) -> int:
    """The signals that some thread of the first process waits for, as an init does (a bit set)."""
    numbers = SIGTIMEDWAIT.get(os.uname().machine)
    if numbers is None:
        raise ValueError(f"system calls of {os.uname().machine} are not known")
    signals = 0
    for thread in (proc / "1/task").iterdir():
        for _ in range(NEEDS):
            call = read(thread / "syscall").split()
            if call[0] != "running":
                break
            time.sleep(PAUSE)
        if call[0] in numbers:
            with (proc / "1/mem").open("rb", buffering=0) as memory:
                memory.seek(int(call[1], 16))
                signals |= int.from_bytes(memory.read(8), sys.byteorder)
    return signals


# --- sockets


def sockets(found: Statuses, proc: Path = PROC) -> list[dict[str, Any]]:
    """Every socket that a process of the container holds, and that waits to be spoken to."""
    owners: dict[str, int] = {}
    spaces: dict[str, list[int]] = {}
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            spaces.setdefault(str((proc / str(pid) / "ns/net").readlink()), []).append(pid)
            for descriptor in (proc / str(pid) / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    owners.setdefault(str(descriptor.readlink()), pid)
    heard = []
    for pids in spaces.values():
        for protocol, table in _tables(pids, proc).items():
            for address, port, inode in _waiting(protocol, table):
                # Nobody's: the engine's own name server, or of another container's processes.
                if (owner := owners.get(f"socket:[{inode}]")) is not None:
                    where = {"protocol": protocol, "address": address, "port": port}
                    heard.append({**where, "pid": owner})
    return heard


def _tables(pids: Sequence[int], proc: Path) -> dict[str, str]:
    """The tables of a network, as the first of its processes shows them that outlives the look.

    One of them may be a health probe that ends just now.
    """
    for pid in pids:
        net = proc / str(pid) / "net"
        tables = {}
        for protocol in ("tcp6", "udp", "udp6", "tcp"):
            with contextlib.suppress(OSError):  # a kernel without IPv6 has no tcp6
                tables[protocol] = read(net / protocol)
        if "tcp" in tables:  # it is read last, and always there while the process is
            return dict(sorted(tables.items()))
    raise ProcessLookupError("its processes end faster than they can be looked at")


def _waiting(protocol: str, table: str) -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of each row of /proc/PID/net/tcp and its like that waits."""
    state = LISTEN if protocol.startswith("tcp") else UNCONNECTED
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == state:
            address, _, port = fields[1].partition(":")
            yield address_of(address), int(port, 16), fields[9]


def address_of(written: str) -> str:
    """An address as people write it: the kernel prints 32-bit words as the machine holds them."""
    words = [int(written[at : at + 8], 16) for at in range(0, len(written), 8)]
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


# --- limits


def limits(groups: Path, pinned: int | None = None) -> dict[str, float | None]:
    """Bounds of the container's cgroup: bytes, processes, processors; null where there is none.

    `pinned` is on how many processors it may run; None: on each. What the kernel does not say is
    left out. `killed`: how often it killed for want of memory.
    """
    ways: dict[str, Callable[[], float | None]]
    if (groups / "cgroup.controllers").exists():  # docs.kernel.org/admin-guide/cgroup-v2.html
        ways = {
            "memory": lambda: _bound(groups / "memory.max"),
            "pids": lambda: _bound(groups / "pids.max"),
            "cpu": lambda: _share(*read(groups / "cpu.max").split()),
            "killed": lambda: _kills(groups / "memory.events"),
        }
    else:  # cgroup v1: a folder for each controller
        ways = {
            "memory": lambda: _bound(groups / "memory/memory.limit_in_bytes"),
            "pids": lambda: _bound(groups / "pids/pids.max"),
            "cpu": lambda: _share(
                read(groups / "cpu/cpu.cfs_quota_us"), read(groups / "cpu/cpu.cfs_period_us")
            ),
            "killed": lambda: _kills(groups / "memory/memory.oom_control"),
        }
    found = {}
    for name, way in ways.items():
        with contextlib.suppress(OSError):
            found[name] = way()
    if "cpu" in found and pinned is not None:
        found["cpu"] = min(found["cpu"] or pinned, pinned)
    return found


def _pinned(pid: int) -> int | None:
    allowed = len(os.sched_getaffinity(pid))
    return allowed if allowed < (os.cpu_count() or 1) else None


def _bound(file: Path) -> int | None:
    word = read(file).strip()
    return None if word == "max" or int(word) >= UNBOUNDED else int(word)


def _share(quota: str, period: str) -> float | None:
    return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def _kills(file: Path) -> int:
    words = read(file).split()
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0


# --- environment


def environment(pid: int, key: bytes, proc: Path = PROC) -> dict[str, str]:
    """What a process was started with: names, and keyed digests of the values."""
    entries = [part for part in (proc / str(pid) / "environ").read_bytes().split(b"\0") if part]
    if not all(b"=" in entry for entry in entries):
        raise ValueError("its process has written something else there")  # setproctitle(3)
    pairs = (entry.partition(b"=") for entry in entries)
    return {text(name): hmac.new(key, value, "sha256").hexdigest() for name, _, value in pairs}


# --- all of it


def look(question: Mapping[str, Any], proc: Path = PROC) -> dict[str, Any]:
    """Everything, each part by itself: what cannot be seen of one says nothing of the others."""
    found = processes(proc)
    unknown: dict[str, str] = {}

    def part(name: str, way: Callable[[], Any]) -> Any:
        try:
            return way()
        except (OSError, ValueError, LookupError) as error:
            unknown[name] = f"the probe could not see its {name}: {error}"
            return None

    main = part("main", lambda: main_process(found, proc)) or 1
    options = (question["writable"], question["seconds"], question["throwaway"])
    key = bytes.fromhex(question["key"])
    return {
        "processes": {str(pid): status for pid, status in found.items()},
        "main": main,
        "awaited": part("awaited", lambda: awaited(proc)),
        "sockets": part("sockets", lambda: sockets(found, proc)),
        "limits": part("limits", lambda: limits(proc / "1/root/sys/fs/cgroup", _pinned(main))),
        "environment": part("environment", lambda: environment(main, key, proc)),
        "mounts": part("mounts", lambda: sorted(mounts(proc))),
        "writes": part("writes", lambda: writes(proc, found[main], *options)),
        "unknown": unknown,
    }


if __name__ == "__main__":
    signal.alarm(LONGEST)
    json.dump(look(json.loads(sys.argv[1])), sys.stdout)
