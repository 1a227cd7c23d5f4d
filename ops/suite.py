"""The test suite, run by pytest in this environment: in several processes, by pytest-xdist."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops import console
from ops.errors import TestsFailed

# A file of tests goes to one process whole, since what its tests share may be a stack that runs.
# In the order in which they are collected: which begin first is the tests' own affair.
SHARED = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")
PROCESSES = "PYTEST_XDIST_AUTO_NUM_WORKERS"  # what `auto` is
WAITING = 2  # for each processor: unit tests compute, all others wait for the engine half the time
MOST = 8  # each process imports and collects everything


def run(root: Path, *, unit: bool, e2e: bool, arguments: str) -> None:
    """Run the whole suite, or the part that was asked for. Raises TestsFailed."""
    parts = [f"tests/{name}" for name, wanted in (("unit", unit), ("e2e", e2e)) if wanted]
    console.step(f"test {' '.join(parts)}".rstrip())
    status = subprocess.run(
        command(parts, arguments),
        cwd=root,
        env=environment(os.environ, os.cpu_count() or 1, waiting=e2e or not unit),
        check=False,
    ).returncode
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test")


def command(parts: Sequence[str], arguments: str) -> list[str]:
    """What is run. What was given comes last, so that it wins: `-n0`, another `--dist`."""
    pytest = (sys.executable, "-m", "pytest")
    return [*pytest, *SHARED, *(parts or ["tests"]), *shlex.split(arguments)]


def environment(given: Mapping[str, str], processors: int, *, waiting: bool) -> dict[str, str]:
    """This process's own, with the number of processes unless it is said already, and with
    bytecode kept: the tests start hundreds of Pythons, each of which would compile it all."""
    processes = min(processors * (WAITING if waiting else 1), MOST)
    kept = {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {PROCESSES: str(processes), **kept}
