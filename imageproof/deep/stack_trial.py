"""Try a copy of the stack: freeze it, orphan children in it, stop it, let it fail, interrupt it.

What a health check notices, and what a stop leaves behind, can only be seen by doing it. A twin
(imageproof/deep/stack_copy.py) is started for that, never the stack that somebody runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import base_image
from imageproof.deep import stack_copy
from imageproof.deep.canary import Search
from imageproof.deep.trial_facts import LineFacts, Teardown, TrialFacts
from imageproof.docker.client import CONFINED, Engine
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError, StackFailed
from imageproof.signals import pause
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.stack_copy import Twin

POLL_SECONDS = 0.5
SPARE_SECONDS = 15.0  # beyond the bound: to say by how much it was missed
START_SECONDS = 60.0
ORPHANS = 3
REAPED_SECONDS = 5.0

# Both run beside the service, in its pid namespace. kill(2): PID 1 takes no SIGSTOP from within.
# What has no parent there came from outside: a health probe, or the runtime that is starting one.
# Stopped in the middle of that, it would hold up the engine's health check itself.
SIGNAL = """
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
# Children whose parent ended belong to PID 1 (pid_namespaces(7)): it has to wait for them.
ORPHAN = """
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
left = os.read(read, 1000).split()
until = time.monotonic() + seconds
while left and time.monotonic() < until:
    time.sleep(0.1)
    left = [pid for pid in left if os.path.exists(b"/proc/" + pid)]
print(len(left))
"""


def read_trial(
    contract: Contract, engine: Engine, names: Sequence[str], *, ends: bool = True
) -> tuple[dict[str, TrialFacts], LineFacts | None]:
    """Start copies of the stack: try the services of these images, and, with `ends`, see what is
    left of it, and of two that end before their time. Takes a minute or two."""
    console.step("try a copy of the stack")
    with (
        tempfile.TemporaryDirectory(prefix="imageproof-trial-") as folder,
        ThreadPoolExecutor(2) as pool,
    ):
        broken = pool.submit(_ends, contract, engine, Path(folder)) if ends else None
        trials, teardown = _whole_life(contract, engine, Path(folder), names)
        return trials, LineFacts((teardown, *broken.result())) if broken else None


def _whole_life(
    contract: Contract, engine: Engine, folder: Path, names: Sequence[str]
) -> tuple[dict[str, TrialFacts], Teardown]:
    """From start to removal, with everything between that a service must bear."""
    after = "up and down"
    try:
        copy = stack_copy.make(contract, engine, folder)
    except (ImageproofError, stack_copy.CannotTry) as error:
        unknown = TrialFacts(unknown=str(error))
        return dict.fromkeys(names, unknown), Teardown(after, unknown=str(error))
    try:
        compose.up(contract, copy.engine, quiet=True)
        with ThreadPoolExecutor(len(names) or 1) as pool:
            tried = pool.map(lambda name: _try_image(contract, copy, name), names)
            trials = dict(zip(names, tried, strict=True))
    except ImageproofError as error:
        trials = dict.fromkeys(names, TrialFacts(unknown=str(error)))
    finally:
        compose.down(copy.engine, volumes=True, quiet=True)
        left = tuple(copy.leftovers())
        copy.clear()
    return trials, Teardown(after, left)


def _try_image(contract: Contract, copy: Twin, name: str) -> TrialFacts:
    terms = contract.images[name]
    probe = base_image.local(contract, copy.engine)
    containers = copy.engine.containers([terms.service])
    if probe is None or not containers:
        missing = "no base image for the probe" if containers else "no container of its service"
        return TrialFacts(unknown=f"there is {missing}")
    try:
        return _try_container(copy, terms, containers[0], probe.reference)
    except ImageproofError as error:
        return TrialFacts(unknown=str(error))


def _try_container(
    copy: Twin, terms: ServiceContract, container: dict[str, Any], probe: str
) -> TrialFacts:
    engine, id_ = copy.engine, container["Id"]
    bound = _notices_within(container) or terms.health.notices_within
    waited = bound + SPARE_SECONDS

    def to_all(signal_: signal.Signals) -> None:
        _beside(engine, id_, probe, SIGNAL, str(int(signal_)))
        with translating(f"signalling {id_[:12]}"):
            engine.docker.container.kill(id_, signal=str(int(signal_)))  # PID 1, from outside

    orphans = int(_beside(engine, id_, probe, ORPHAN, str(ORPHANS), str(REAPED_SECONDS)))
    to_all(signal.SIGSTOP)
    try:
        noticed = _seconds_until(lambda: _health(engine, id_) == "unhealthy", waited)
    finally:
        to_all(signal.SIGCONT)  # interrupted as well: what is frozen takes all of its stop timeout
    recovered = _seconds_until(lambda: _health(engine, id_) == "healthy", waited)
    given = copy.canaries.get(terms.service, {})
    stopped, status = _stop(engine, id_, terms.stop_timeout)
    log = "\n".join(engine.logs(terms.service, compose.KEPT_LINES)).encode()
    found = Search(given).chunks([log])
    return TrialFacts(
        bound=bound,
        noticed_after=noticed,
        recovered_after=recovered,
        waited=waited,
        stopped_after=stopped,
        exit_status=status,
        orphans=ORPHANS,
        orphans_left=orphans,
        logged=tuple(sorted({name for name, _ in found})),
        given=tuple(sorted(given)),
    )


def _notices_within(container: dict[str, Any]) -> float | None:
    """What the container's own health check promises: image and compose file together."""
    check = container["Config"].get("Healthcheck") or {}
    if not check.get("Test") or check["Test"] == ["NONE"]:
        return None
    seconds = ((check.get("Interval") or 30e9) + (check.get("Timeout") or 30e9)) / 1e9
    return float(seconds * (check.get("Retries") or 3))


def _beside(engine: Engine, container: str, image: str, code: str, *arguments: str) -> str:
    """Run Python in a container that shares the pid namespace, and may signal what is there."""
    with translating(f"running a probe beside {container[:12]}"):
        said = engine.docker.run(
            image,
            ["-I", "-S", "-c", code, *arguments],
            entrypoint="python3.11",
            pid=f"container:{container}",
            user="0:0",
            cap_add=["KILL"],
            stream=True,  # else the engine's words go to the terminal, and are lost as a reason
            **CONFINED,
        )
        answer = b"".join(line for stream, line in said if stream == "stdout")
    return answer.decode()


def _health(engine: Engine, container: str) -> str | None:
    state = engine.inspect("container", [container])[0]["State"]
    return (state.get("Health") or {}).get("Status")


def _seconds_until(holds: Callable[[], bool], limit: float) -> float | None:
    """How long it took to hold; None where it did not in `limit` seconds."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > limit:
            return None
        pause(POLL_SECONDS)
    return time.monotonic() - started


def _stop(engine: Engine, container: str, timeout: float) -> tuple[float, int]:
    """`docker stop`: how long it took, and the exit status."""
    started = time.monotonic()
    with translating(f"stopping {container[:12]}"):
        engine.docker.container.stop(container, time=int(timeout))
    taken = time.monotonic() - started
    return taken, int(engine.inspect("container", [container])[0]["State"]["ExitCode"])


# --- a start that fails, and one that is interrupted


def _ends(contract: Contract, engine: Engine, folder: Path) -> list[Teardown]:
    return [
        _teardown("a start that failed", contract, engine, folder, _failing, _fail),
        _teardown("a start that was interrupted", contract, engine, folder, _lasting, _interrupt),
    ]


def _teardown(
    after: str,
    contract: Contract,
    engine: Engine,
    folder: Path,
    health: dict[str, Any],
    end: Callable[[Contract, Twin], str],
) -> Teardown:
    """End a copy of the stack, whose first service has that health check, before its time."""
    service = next(iter(contract.images.values())).service
    try:
        copy = stack_copy.make(contract, engine, folder, {service: {"healthcheck": health}})
    except (ImageproofError, stack_copy.CannotTry) as error:
        return Teardown(after, unknown=str(error))
    logs = contract.root / compose.LOGS / copy.project
    try:
        unknown = end(contract, copy)
        # A service that said nothing yet has an empty log: that the file is there is what counts.
        kept = any(logs.glob("*.log"))
        return Teardown(after, tuple(copy.leftovers()), kept, unknown)
    finally:
        compose.down(copy.engine, volumes=True, quiet=True)
        copy.clear()
        _forget(logs)


_failing = {"test": ["CMD", "/nothing/here"], "interval": "1s", "retries": 1, "start_period": "0s"}
_lasting = {"test": ["CMD", "/nothing/here"], "interval": "1h", "start_period": "1h"}


def _fail(contract: Contract, copy: Twin) -> str:
    try:
        compose.up(contract, copy.engine, quiet=True)
    except StackFailed:
        return ""
    except ImageproofError as error:
        return str(error)
    return "a service without a working health check became healthy"


def _interrupt(contract: Contract, copy: Twin) -> str:
    """Ctrl-C while the stack is waited for: as a terminal does, to the whole process group."""
    files = [str(path) for path in copy.engine.compose_files]
    with subprocess.Popen(
        [sys.executable, "-m", "imageproof.deep.stack_trial", copy.project, *files],
        cwd=contract.root,
        env={**os.environ, "IMAGEPROOF_ROOT": str(contract.root), "PYTHONPATH": _library()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            began = _seconds_until(
                lambda: bool(copy.engine.containers(stopped=False)), START_SECONDS
            )
        finally:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "the start did not end when it was interrupted"
    return "" if began is not None else "the start made no container"


def _library() -> str:
    return str(Path(__file__).parent.parent)


def _forget(logs: Path) -> None:
    for path in logs.glob("*.log"):
        path.unlink()
    if logs.is_dir():
        logs.rmdir()


def _main(project: str, *files: str) -> None:
    """A start in a process of its own, to be interrupted."""
    from imageproof import contract

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    compose.up(
        contract.load(), replace(Engine(tuple(map(Path, files))), project=project), quiet=True
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])
