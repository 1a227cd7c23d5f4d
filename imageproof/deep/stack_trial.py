"""The stack trial: freeze, orphan, unfreeze and stop the services of a copy of the stack.

Only a trial shows what a health check notices and how a service stops. The trial starts a copy of
the stack (stack_copy.py) and never touches the stack that is running.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import base_image
from imageproof.deep import stack_copy
from imageproof.deep.canary import CanarySearch
from imageproof.deep.teardown import Teardown, TeardownFacts, run_broken_starts, seconds_until
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError
from imageproof.runtime.probe_client import run_beside
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.stack_copy import StackCopy
    from imageproof.docker.client import Engine

MEASURE_SECONDS = 15.0  # wait longer than promised, to report by how much a service is late
ORPHANS = 3
REAP_SECONDS = 5.0

# Both scripts run in the service's pid namespace.
# PID 1 is signalled from outside: it takes no SIGSTOP from within its namespace (kill(2)).
# A process without a parent here is a health probe or the runtime that starts one: if it were
# stopped, the engine could not finish the health check.
SIGNAL_SCRIPT = """
import os, sys
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            parent = int(stat.read().rpartition(")")[2].split()[1])
        if parent:
            os.kill(pid, int(sys.argv[1]))
    except (FileNotFoundError, ProcessLookupError):
        pass
"""
# PID 1 inherits children whose parent ended, and must wait for them (pid_namespaces(7)).
ORPHAN_SCRIPT = """
import os, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
read, write = os.pipe()
if os.fork() == 0:
    for _ in range(count):
        if (child := os.fork()) == 0:
            time.sleep(0.2)
            os._exit(0)
        os.write(write, b"%d\\n" % child)
    os._exit(0)
os.wait()
zombies = os.read(read, 1000).split()
deadline = time.monotonic() + seconds
while zombies and time.monotonic() < deadline:
    time.sleep(0.1)
    zombies = [pid for pid in zombies if os.path.exists(b"/proc/" + pid)]
print(len(zombies))
"""


@dataclass(frozen=True)
class TrialFacts:
    """Results of one service's trial; times in seconds, None: not reached."""

    unknown: str = ""  # why the service could not be tried
    bound: float = 0  # (interval + timeout) x retries of the container's own health check
    unhealthy_after: float | None = None  # from SIGSTOP to every process
    healthy_after: float | None = None  # from SIGCONT to every process
    waited: float = 0  # limit of both waits
    stopped_after: float | None = None  # from `docker stop` to the end
    exit_status: int | None = None
    orphans: int = 0  # orphaned children that ended
    zombies: int | None = None  # the ones that PID 1 did not wait for
    logged: tuple[str, ...] = ()  # secrets whose values are in the log, by variable
    secrets: tuple[str, ...] = ()  # secrets of the service, by variable


def run_stack_trial(
    contract: Contract, engine: Engine, names: Sequence[str], *, teardowns: bool = True
) -> tuple[dict[str, TrialFacts], TeardownFacts | None]:
    """Start a copy of the stack, try the services of these images, and remove the copy.

    With `teardowns`, also start a copy that fails and one that is interrupted, and report what
    each of the three leaves behind. Takes one or two minutes.
    """
    console.step("try a copy of the stack")
    with (
        tempfile.TemporaryDirectory(prefix="imageproof-trial-") as name,
        ThreadPoolExecutor(1) as pool,
    ):
        folder = Path(name)
        broken = pool.submit(run_broken_starts, contract, engine, folder) if teardowns else None
        trials, teardown = _run_copy(contract, engine, folder, names)
        facts = TeardownFacts((teardown, *broken.result())) if broken else None
        return trials, facts


def _run_copy(
    contract: Contract, engine: Engine, folder: Path, names: Sequence[str]
) -> tuple[dict[str, TrialFacts], Teardown]:
    after = "up and down"
    try:
        copy = stack_copy.make(contract, engine, folder)
    except (ImageproofError, stack_copy.CannotCopy) as error:
        unknown = TrialFacts(unknown=str(error))
        return dict.fromkeys(names, unknown), Teardown(after, unknown=str(error))
    try:
        compose.up(contract, copy.engine, quiet=True)
        with ThreadPoolExecutor(len(names) or 1) as pool:
            facts = pool.map(lambda name: _try_service(contract, copy, name), names)
            trials = dict(zip(names, facts, strict=True))
    except ImageproofError as error:
        trials = dict.fromkeys(names, TrialFacts(unknown=str(error)))
    finally:
        compose.down(copy.engine, volumes=True, quiet=True)
        leftovers = tuple(copy.leftovers())
        copy.clear()
    return trials, Teardown(after, leftovers)


def _try_service(contract: Contract, copy: StackCopy, name: str) -> TrialFacts:
    service = contract.images[name]
    probe = base_image.find_local(contract, copy.engine)
    containers = copy.engine.containers([service.service])
    if not containers:
        return TrialFacts(unknown=f"the copy of the stack has no container of {service.service}")
    if probe is None:
        return TrialFacts(unknown="there is no base image to run the probe in")
    try:
        return _try_container(copy, service, containers[0], probe.reference)
    except ImageproofError as error:
        return TrialFacts(unknown=str(error))


def _try_container(
    copy: StackCopy, service: ServiceContract, container: dict[str, Any], probe_image: str
) -> TrialFacts:
    engine, id_ = copy.engine, container["Id"]
    bound = _promised_seconds(container) or service.health.notices_within
    waited = bound + MEASURE_SECONDS

    def signal_all(number: signal.Signals) -> None:
        run_beside(engine, id_, probe_image, ["KILL"], SIGNAL_SCRIPT, str(int(number)))
        with translating(f"signalling {id_[:12]}"):
            engine.whales.container.kill(id_, signal=str(int(number)))  # PID 1, from outside

    zombies = int(
        run_beside(
            engine, id_, probe_image, ["KILL"], ORPHAN_SCRIPT, str(ORPHANS), str(REAP_SECONDS)
        )
    )
    signal_all(signal.SIGSTOP)
    try:
        unhealthy_after = seconds_until(lambda: _health(engine, id_) == "unhealthy", waited)
    finally:
        signal_all(signal.SIGCONT)  # even if interrupted: a frozen service cannot stop in time
    healthy_after = seconds_until(lambda: _health(engine, id_) == "healthy", waited)
    stopped_after, status = _stop(engine, id_, service.stop_timeout)
    canaries = copy.canaries.get(service.service, {})
    log = "\n".join(engine.logs(service.service, compose.MAX_LOG_LINES)).encode()
    return TrialFacts(
        bound=bound,
        unhealthy_after=unhealthy_after,
        healthy_after=healthy_after,
        waited=waited,
        stopped_after=stopped_after,
        exit_status=status,
        orphans=ORPHANS,
        zombies=zombies,
        logged=tuple(sorted({name for name, _ in CanarySearch(canaries).chunks([log])})),
        secrets=tuple(sorted(canaries)),
    )


def _promised_seconds(container: dict[str, Any]) -> float | None:
    """Return the bound of the container's health check: image and compose file combined."""
    check = container["Config"].get("Healthcheck") or {}
    if not check.get("Test") or check["Test"] == ["NONE"]:
        return None
    seconds = ((check.get("Interval") or 30e9) + (check.get("Timeout") or 30e9)) / 1e9
    return float(seconds * (check.get("Retries") or 3))


def _health(engine: Engine, container: str) -> str | None:
    state = engine.inspect("container", [container])[0]["State"]
    return (state.get("Health") or {}).get("Status")


def _stop(engine: Engine, container: str, timeout: float) -> tuple[float, int]:
    """Stop a container; return the seconds it took and the exit status."""
    started = time.monotonic()
    with translating(f"stopping {container[:12]}"):
        engine.whales.container.stop(container, time=int(timeout))
    seconds = time.monotonic() - started
    return seconds, int(engine.inspect("container", [container])[0]["State"]["ExitCode"])
