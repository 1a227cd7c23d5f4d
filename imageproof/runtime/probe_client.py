"""What a probe saw of a container: the dataclasses, and the probe's own start.

The probe (probe.py) is a container of the base image beside the service: it shares the service's
pid namespace, and needs nothing in the service's own image, no shell and no Python. It has those
capabilities that let it read what belongs to the service's user, and become that user.
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

HERE = Path(__file__).parent
PARTS = {"imageproof.runtime.write_probe": "write_probe.py", "__main__": "probe.py"}
WALK_SECONDS = 10.0
# To read /proc/PID of any user, to list any folder, and to become the service's user.
CAPABILITIES = ["SYS_PTRACE", "DAC_READ_SEARCH", "SETUID", "SETGID"]


@dataclass(frozen=True)
class Process:
    """One process (proc(5): status). Ids are real, effective, saved and filesystem ones;
    capabilities and signals bit sets.

    `seccomp` is the mode, None where the kernel does not say. `awaited` are signals that it waits
    for in place of a handler, as an init does; known of PID 1 only, None: it could not be seen.
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
    """A socket that waits to be spoken to: TCP that listens, UDP that is bound to nobody."""

    protocol: str  # tcp, tcp6, udp, udp6
    address: str
    port: int
    pid: int


@dataclass(frozen=True)
class Limits:
    """Bounds: bytes, processes, processors; None: unbounded. `missing`: nobody could look."""

    memory: float | None = None
    pids: float | None = None
    cpu: float | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Writes:
    """Files and folders that took a write by `user` (uid:gid), of those that were `tried`.

    `cut` says why not all of them were.
    """

    user: str
    read_only: bool  # how the root is mounted
    paths: tuple[str, ...]
    tried: int
    cut: str = ""


@dataclass(frozen=True)
class Seen:
    """All that one probe saw; None: it could not, `unknown` says why, by name of the part."""

    processes: tuple[Process, ...] | None = None
    sockets: tuple[Socket, ...] | None = None
    limits: Limits | None = None
    writes: Writes | None = None
    received: Mapping[str, str] | None = None  # environment: name, keyed digest of the value
    mounts: tuple[str, ...] | None = None
    kills: int = 0  # for want of memory
    unknown: Mapping[str, str] = field(default_factory=dict)


def look_into(
    engine: Engine,
    container: str,
    probe_image: str,
    writable: Sequence[str],
    *,
    key: bytes = b"",
    throwaway: bool = False,
) -> Seen:
    """Start a probe beside a running container. Raises ImageproofError where it cannot be had."""
    question = {
        "key": key.hex(),
        "writable": [path.rstrip("/") or "/" for path in writable],
        "throwaway": throwaway,
        "seconds": WALK_SECONDS,
    }
    with translating(f"looking into {container[:12]}"):
        said = engine.docker.run(
            probe_image,
            ["-I", "-S", "-c", text(), json.dumps(question)],
            entrypoint="python3.11",
            pid=f"container:{container}",
            user="0:0",
            cap_add=CAPABILITIES,
            stream=True,  # else the engine's words go to the terminal, and are lost as a reason
            **CONFINED,
        )
        answer = b"".join(line for stream, line in said if stream == "stdout")
    return parse(json.loads(answer))


@cache
def text() -> str:
    """The probe's program: both files, each as the module that the other imports."""
    lines = ["import sys, types"]
    for name, file in PARTS.items():
        lines.append(f"module = sys.modules[{name!r}] = types.ModuleType({name!r})")
        code = (HERE / file).read_text()
        lines.append(f"exec(compile({code!r}, {file!r}, 'exec'), module.__dict__)")
    return "\n".join(lines)


def parse(answer: Mapping[str, Any]) -> Seen:
    """What a probe printed, without what would steer a terminal."""
    unknown = {name: strip_escapes(why) for name, why in answer["unknown"].items()}
    limits = answer["limits"]
    writes = answer["writes"]
    received = answer["environment"]
    mounts = answer["mounts"]
    sockets = answer["sockets"]
    return Seen(
        processes=tuple(
            parse_status(int(pid), status, answer["awaited"] if pid == "1" else 0)
            for pid, status in answer["processes"].items()
        ),
        sockets=None if sockets is None else tuple(Socket(**found) for found in sockets),
        limits=None if limits is None else _limits(limits),
        writes=None
        if writes is None
        else Writes(**{**writes, "paths": tuple(map(strip_escapes, writes["paths"]))}),
        received=None
        if received is None
        else {strip_escapes(name): digest for name, digest in received.items()},
        mounts=None if mounts is None else tuple(mounts),
        kills=(limits or {}).get("killed", 0),
        unknown=unknown,
    )


def _limits(found: Mapping[str, float | None]) -> Limits:
    names = ("memory", "pids", "cpu")
    missing = tuple(name for name in names if name not in found)
    return Limits(**{name: found.get(name) for name in names}, missing=missing)


def parse_status(pid: int, status: Mapping[str, str], awaited: int | None = 0) -> Process:
    """A process out of the lines of its /proc/PID/status."""

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
