"""Client of the probe: it starts the probe beside a container, and parses the answer.

The probe (probe.py) runs in a container of the base image, which shares the pid namespace of the
service. So the service's own image needs no shell and no Python. The probe's capabilities let it
read what belongs to the service's user, and become that user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.confined import CONFINED
from imageproof.docker.errors import translating
from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# The probe's files, by their module names in its container.
MODULES = {"imageproof.runtime.write_probe": "write_probe.py", "__main__": "probe.py"}
WALK_SECONDS = 10.0  # time limit of the write probe's walk over the files
# To read /proc/PID of any user, to list any folder, and to become the service's user.
CAPABILITIES = ("SYS_PTRACE", "DAC_READ_SEARCH", "SETUID", "SETGID")


@dataclass(frozen=True)
class Process:
    """A process (proc(5): status). Capabilities and signals are bit sets.

    Attributes:
        uids: Real, effective, saved and file system user ids.
        gids: Real, effective, saved and file system group ids.
        seccomp: The mode; None: the kernel does not report it.
        awaited: Signals that PID 1 waits for instead of handling them, as an init does; 0 for
            other processes; None: could not be read.
    """

    pid: int
    name: str
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    parent: int = 0
    state: str = ""
    effective: int = 0
    permitted: int = 0
    ambient: int = 0
    inheritable: int = 0
    bounding: int = 0
    no_new_privileges: bool = False
    seccomp: int | None = None
    caught: int = 0
    blocked: int = 0
    ignored: int = 0
    awaited: int | None = 0


@dataclass(frozen=True)
class Socket:
    """A listening TCP socket, or an unconnected UDP socket."""

    protocol: str  # tcp, tcp6, udp, udp6
    address: str
    port: int
    pid: int


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes, processes and processors; None: unbounded."""

    memory: float | None = None
    pids: float | None = None
    cpu: float | None = None
    missing: tuple[str, ...] = ()  # bounds that the kernel does not report


@dataclass(frozen=True)
class Writes:
    """The files and folders that a user can write, found by trying."""

    user: str  # uid:gid
    read_only: bool  # how the root file system is mounted
    paths: tuple[str, ...]
    tried: int  # number of files and folders
    incomplete: str = ""  # why some were not tried


@dataclass(frozen=True)
class ProbeResult:
    """The answer of one probe. `unknown` has the reason for each part that is None, by its name."""

    processes: tuple[Process, ...] | None = None
    sockets: tuple[Socket, ...] | None = None
    limits: Limits | None = None
    writes: Writes | None = None
    environment: Mapping[str, str] | None = None  # keyed digests of the values
    mounts: tuple[str, ...] | None = None
    kills: int = 0  # number of kills for lack of memory
    unknown: Mapping[str, str] = field(default_factory=dict)


def run_probe(
    engine: Engine,
    container: str,
    probe_image: str,
    writable: Sequence[str],
    *,
    key: bytes = b"",
    throwaway: bool = False,
) -> ProbeResult:
    """Run the probe beside a running container.

    Args:
        engine: The engine with the container.
        container: The container's id or name.
        probe_image: An image with Python, to run the probe in.
        writable: Paths that the contract lets the container write.
        key: Key of the digests of the container's environment.
        throwaway: The container is a throwaway: its files may be opened for writing.

    Raises:
        ImageproofError: The engine cannot run the probe.
        ValueError: The probe printed no valid answer.
    """
    request = {
        "key": key.hex(),
        "writable": [path.rstrip("/") or "/" for path in writable],
        "throwaway": throwaway,
        "seconds": WALK_SECONDS,
    }
    output = run_beside(
        engine, container, probe_image, CAPABILITIES, probe_program(), json.dumps(request)
    )
    return parse_answer(json.loads(output))


def run_beside(
    engine: Engine,
    container: str,
    image: str,
    capabilities: Sequence[str],
    code: str,
    *arguments: str,
) -> bytes:
    """Run Python code as root in a container's pid namespace; return its standard output."""
    with translating(f"running a probe beside {container[:12]}"):
        output = engine.whales.run(
            image,
            ["-I", "-S", "-c", code, *arguments],
            entrypoint="python3.11",
            pid=f"container:{container}",
            user="0:0",
            cap_add=list(capabilities),
            stream=True,  # otherwise the engine's error goes to the terminal and is lost
            **CONFINED,
        )
        return b"".join(line for stream, line in output if stream == "stdout")


@cache
def probe_program() -> str:
    """Return the probe's files as one program, which makes each file a module."""
    lines = ["import sys, types"]
    for name, file in MODULES.items():
        lines.append(f"module = sys.modules[{name!r}] = types.ModuleType({name!r})")
        code = Path(__file__).with_name(file).read_text()
        lines.append(f"exec(compile({code!r}, {file!r}, 'exec'), module.__dict__)")
    return "\n".join(lines)


def parse_answer(answer: Mapping[str, Any]) -> ProbeResult:
    """Parse the output of a probe; remove escape sequences from its texts."""
    sockets = answer["sockets"]
    limits = answer["limits"]
    writes = answer["writes"]
    digests = answer["environment"]
    mounts = answer["mounts"]
    return ProbeResult(
        processes=tuple(
            parse_status(int(pid), status, answer["awaited"] if pid == "1" else 0)
            for pid, status in answer["processes"].items()
        ),
        sockets=None if sockets is None else tuple(Socket(**keys) for keys in sockets),
        limits=None if limits is None else _parse_limits(limits),
        writes=None if writes is None else _parse_writes(writes),
        environment=None
        if digests is None
        else {strip_escapes(name): digest for name, digest in digests.items()},
        mounts=None if mounts is None else tuple(mounts),
        kills=(limits or {}).get("killed", 0),
        unknown={name: strip_escapes(reason) for name, reason in answer["unknown"].items()},
    )


def _parse_writes(writes: Mapping[str, Any]) -> Writes:
    return Writes(**{**writes, "paths": tuple(map(strip_escapes, writes["paths"]))})


def _parse_limits(limits: Mapping[str, float | None]) -> Limits:
    names = ("memory", "pids", "cpu")
    missing = tuple(name for name in names if name not in limits)
    return Limits(**{name: limits.get(name) for name in names}, missing=missing)


def parse_status(pid: int, status: Mapping[str, str], awaited: int | None = 0) -> Process:
    """Return a process from the lines of its /proc/PID/status."""

    def bits(name: str) -> int:
        return int(status.get(name, "0"), 16)

    def numbers(name: str) -> tuple[int, ...]:
        return tuple(map(int, status.get(name, "").split()))

    return Process(
        pid=pid,
        parent=int(status["PPid"]),
        name=strip_escapes(status["Name"]),
        state=status.get("State", "")[:1],
        uids=numbers("Uid"),
        gids=numbers("Gid"),
        groups=numbers("Groups"),
        effective=bits("CapEff"),
        permitted=bits("CapPrm"),
        ambient=bits("CapAmb"),
        inheritable=bits("CapInh"),
        bounding=bits("CapBnd"),
        no_new_privileges=status.get("NoNewPrivs") == "1",
        seccomp=int(status["Seccomp"]) if "Seccomp" in status else None,
        caught=bits("SigCgt"),
        blocked=bits("SigBlk"),
        ignored=bits("SigIgn"),
        awaited=awaited,
    )
