"""What is true of running containers: every process, as the kernel describes it.

One probe a service: a container of the base image that shares the service's pid namespace and
reads /proc there. It needs nothing in the service's own image, no shell and no Python.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.engine import CONFINED, translating
from ops.errors import OpsError

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.engine import Engine

# Runs in the probe: /proc/PID/status of every process but itself (proc(5)).
PROBE = """
import json, os
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid():
        continue
    try:
        with open(f"/proc/{pid}/status") as status:
            found.append({"Pid": pid} | dict(line.rstrip("\\n").split(":\\t", 1) for line in status
                                             if ":\\t" in line))
    except (FileNotFoundError, ProcessLookupError):
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Process:
    """One process. Ids are real, effective, saved and filesystem ones; capabilities bit sets."""

    pid: int
    name: str
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    effective: int
    permitted: int
    ambient: int
    no_new_privileges: bool


@dataclass(frozen=True)
class ContainerFacts:
    """One running container of a service. `processes` is None where nobody could look."""

    name: str
    status: str
    health: str | None
    restarts: int
    out_of_memory: bool
    last_words: str
    processes: tuple[Process, ...] | None
    unknown: str = ""


@dataclass(frozen=True)
class ProgramRun:
    """What a program of an image answered: the first line, and its exit status."""

    answer: str
    status: int


def read_containers(engine: Engine, service: str, probe_image: str | None) -> list[ContainerFacts]:
    """The containers of a service, with every process in them."""
    return [_container(engine, found, probe_image) for found in engine.containers([service])]


def _container(engine: Engine, found: dict[str, Any], probe_image: str | None) -> ContainerFacts:
    state = found["State"]
    health = state.get("Health") or {}
    log = health.get("Log") or [{}]
    processes: tuple[Process, ...] | None = None
    unknown = ""
    if state["Status"] != "running":
        unknown = f"the container is {state['Status']}"
    elif probe_image is None:
        unknown = "there is no base image to make the probe of"
    else:
        try:
            processes = read_processes(engine, found["Id"], probe_image)
        except OpsError as error:
            unknown = str(error)
    return ContainerFacts(
        name=found["Name"].lstrip("/"),
        status=state["Status"],
        health=health.get("Status"),
        restarts=found.get("RestartCount", 0),
        out_of_memory=bool(state.get("OOMKilled")),
        last_words=(log[-1].get("Output") or "").strip(),
        processes=processes,
        unknown=unknown,
    )


def read_processes(engine: Engine, container: str, probe_image: str) -> tuple[Process, ...]:
    """Every process in a container's pid namespace."""
    with translating(f"looking at the processes of {container[:12]}"):
        answer = engine.docker.run(
            probe_image,
            ["-I", "-S", "-c", PROBE],
            entrypoint="python3.11",
            pid=f"container:{container}",
            user="65534:65534",
            **CONFINED,
        )
    return tuple(map(parse_status, json.loads(str(answer))))


def parse_status(status: Mapping[str, str]) -> Process:
    """A process out of the lines of its /proc/PID/status."""
    return Process(
        pid=int(status["Pid"]),
        name=status["Name"],
        uids=tuple(map(int, status["Uid"].split())),
        gids=tuple(map(int, status["Gid"].split())),
        groups=tuple(map(int, status.get("Groups", "").split())),
        effective=int(status["CapEff"], 16),
        permitted=int(status["CapPrm"], 16),
        ambient=int(status.get("CapAmb", "0"), 16),
        no_new_privileges=status.get("NoNewPrivs") == "1",
    )


def run_programs(engine: Engine, reference: str, image: Image) -> dict[str, ProgramRun]:
    """Run each program that the contract names, as the image's user, with no network."""
    found = {}
    for name, program in image.programs.items():
        status, said = engine.run_confined(reference, name, program.arguments)
        lines = said or ["nothing"]
        found[name] = ProgramRun(lines[0] if status == 0 else lines[-1], status)
    return found
