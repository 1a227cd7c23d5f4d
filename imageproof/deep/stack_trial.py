"""The stack trial: freeze, orphan, unfreeze and stop the services of a copy of the stack.

Only a trial shows which failures a health check notices and how a service stops. The trial starts a
copy of the stack (stack_copy.py); it never touches the running stack.
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
from imageproof.stack.logs import MAX_LOG_LINES

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.stack_copy import StackCopy
    from imageproof.docker.client import Engine

EXTRA_SECONDS = 15.0  # wait longer than promised, to report how late a service is
ORPHANS = 3
REAP_SECONDS = 5.0  # time for PID 1 to wait for the orphans

# Both scripts run in the service's pid namespace.

# Send a signal to every process that has a parent in the namespace. Two kinds have none:
# - PID 1. It takes no SIGSTOP from within its namespace (kill(2)); the engine signals it.
# - A health probe, or the runtime that starts one. If it were stopped, the engine could not
#   finish the health check.
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
# Make orphans, and count those that stay zombies: PID 1 inherits children whose parent ended, and
# must wait for them (pid_namespaces(7)).
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
    wait_limit: float = 0  # of the waits for unhealthy and for healthy
    stopped_after: float | None = None  # from `docker stop` to the end
    exit_status: int | None = None
    orphans: int = 0  # number of orphaned children that ended
    zombies: int | None = None  # number of orphans that PID 1 did not wait for
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
        tempfile.TemporaryDirectory(prefix="imageproof-trial-") as folder_name,
        ThreadPoolExecutor(1) as pool,
    ):
        folder = Path(folder_name)
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
    engine, container_id = copy.engine, container["Id"]
    bound = _promised_seconds(container) or service.health.notices_within
    wait_limit = bound + EXTRA_SECONDS
    zombies = _count_zombies(engine, container_id, probe_image)
    _signal_all(engine, container_id, probe_image, signal.SIGSTOP)
    try:
        unhealthy_after = seconds_until(
            lambda: _health(engine, container_id) == "unhealthy", wait_limit
        )
    finally:  # even if interrupted: a frozen service cannot stop in time
        _signal_all(engine, container_id, probe_image, signal.SIGCONT)
    healthy_after = seconds_until(lambda: _health(engine, container_id) == "healthy", wait_limit)
    stopped_after, exit_status = _stop(engine, container_id, service.stop_timeout)
    canaries = copy.canaries.get(service.service, {})
    log = "\n".join(engine.logs(service.service, MAX_LOG_LINES)).encode()
    return TrialFacts(
        bound=bound,
        unhealthy_after=unhealthy_after,
        healthy_after=healthy_after,
        wait_limit=wait_limit,
        stopped_after=stopped_after,
        exit_status=exit_status,
        orphans=ORPHANS,
        zombies=zombies,
        logged=tuple(sorted({name for name, _ in CanarySearch(canaries).find_in_chunks([log])})),
        secrets=tuple(sorted(canaries)),
    )


def _signal_all(engine: Engine, container: str, probe_image: str, number: signal.Signals) -> None:
    """Send a signal to every process of a container, except health probes."""
    run_beside(engine, container, probe_image, ["KILL"], SIGNAL_SCRIPT, str(int(number)))
    with translating(f"signalling {container[:12]}"):
        engine.whales.container.kill(container, signal=str(int(number)))  # PID 1


def _count_zombies(engine: Engine, container: str, probe_image: str) -> int:
    """Make orphans, and return how many PID 1 does not wait for."""
    arguments = (str(ORPHANS), str(REAP_SECONDS))
    return int(run_beside(engine, container, probe_image, ["KILL"], ORPHAN_SCRIPT, *arguments))


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
