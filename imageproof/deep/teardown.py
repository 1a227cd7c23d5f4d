"""Starts of the stack that fail or are interrupted, and what each leaves behind in the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.deep import stack_copy
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError, StackFailed
from imageproof.signals import pause
from imageproof.stack import compose
from imageproof.stack.logs import LOGS_FOLDER

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.deep.stack_copy import StackCopy

POLL_SECONDS = 0.5
START_SECONDS = 60.0  # until an interrupted start creates a container, and until it ends
FAILING_HEALTHCHECK: dict[str, Any] = {
    "test": ["CMD", "/nothing/here"],
    "interval": "1s",
    "retries": 1,
    "start_period": "0s",
}
PENDING_HEALTHCHECK: dict[str, Any] = {
    "test": ["CMD", "/nothing/here"],
    "interval": "1h",
    "start_period": "1h",
}


@dataclass(frozen=True)
class Teardown:
    """One end of a stack, and what it left in the engine."""

    after: str  # "up and down", "a start that failed", "a start that was interrupted"
    leftovers: tuple[str, ...] = ()  # `container NAME`, `network NAME`, `volume NAME`
    logs_saved: bool | None = None  # None: this end saves no logs
    unknown: str = ""  # why the stack could not be ended this way


@dataclass(frozen=True)
class TeardownFacts:
    """Every end of the stack that was tried."""

    teardowns: tuple[Teardown, ...] = ()


def run_broken_starts(contract: Contract, engine: Engine, folder: Path) -> list[Teardown]:
    """Start one copy of the stack that fails, and one that is interrupted.

    The copies' compose files are written into `folder`.
    """
    starts = (
        ("a start that failed", FAILING_HEALTHCHECK, _start_and_fail),
        ("a start that was interrupted", PENDING_HEALTHCHECK, _start_and_interrupt),
    )
    return [
        _run_broken_start(contract, engine, folder, after, healthcheck, start)
        for after, healthcheck, start in starts
    ]


def seconds_until(condition: Callable[[], bool], limit: float) -> float | None:
    """Wait for a condition; return the seconds it took, None if it took more than `limit`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit:
            return None
        pause(POLL_SECONDS)
    return time.monotonic() - started


def _run_broken_start(
    contract: Contract,
    engine: Engine,
    folder: Path,
    after: str,
    healthcheck: dict[str, Any],
    start: Callable[[Contract, StackCopy], str],
) -> Teardown:
    """Start a copy whose first service has this health check.

    `start` returns why the start did not end as it should, "" if it did.
    """
    service = next(iter(contract.images.values())).service
    try:
        copy = stack_copy.make(contract, engine, folder, {service: {"healthcheck": healthcheck}})
    except (ImageproofError, stack_copy.CannotCopy) as error:
        return Teardown(after, unknown=str(error))
    logs = contract.root / LOGS_FOLDER / copy.project
    try:
        unknown = start(contract, copy)
        # A service that logged nothing yet has an empty file, so its size does not matter.
        logs_saved = any(logs.glob("*.log"))
        return Teardown(after, tuple(copy.leftovers()), logs_saved, unknown)
    finally:
        compose.down(copy.engine, volumes=True, quiet=True)
        copy.clear()
        _remove_logs(logs)


def _start_and_fail(contract: Contract, copy: StackCopy) -> str:
    try:
        compose.up(contract, copy.engine, quiet=True)
    except StackFailed:
        return ""
    except ImageproofError as error:
        return str(error)
    return "a service without a working health check became healthy"


def _start_and_interrupt(contract: Contract, copy: StackCopy) -> str:
    """Send SIGINT during the start, to the whole process group as a terminal does on Ctrl-C."""
    files = [str(path) for path in copy.engine.compose_files]
    with subprocess.Popen(
        [sys.executable, "-m", "imageproof.deep.teardown", copy.project, *files],
        cwd=contract.root,
        env={**os.environ, **_child_environment(contract)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            started_after = seconds_until(
                lambda: bool(copy.engine.containers(stopped=False)), START_SECONDS
            )
        finally:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"the start did not end within {START_SECONDS:.0f} s of the interrupt"
    return "" if started_after is not None else "the start created no container"


def _child_environment(contract: Contract) -> dict[str, str]:
    """Return variables by which a child process finds this package and the contract."""
    return {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "IMAGEPROOF_ROOT": str(contract.root),
    }


def _remove_logs(folder: Path) -> None:
    for path in folder.glob("*.log"):
        path.unlink()
    if folder.is_dir():
        folder.rmdir()


def _main(project: str, *files: str) -> None:
    """Start a stack; `_start_and_interrupt` runs this in a process of its own."""
    from imageproof import contract

    # Python does not handle SIGINT if it is ignored at its start, as in a background job.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = replace(Engine(tuple(map(Path, files))), project=project)
    compose.up(contract.load(), engine, quiet=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
