"""The test suite, run by pytest in this environment: in several processes, by pytest-xdist."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from imageproof import console, signals
from imageproof.errors import MachineError, TestsFailed

PARTS = ("unit", "e2e", "swarm")
# The swarm's tests make machines of namespaces: iproute2, util-linux, the engine, a registry.
NEEDED = ("ip", "nsenter", "unshare", "setpriv", "dockerd", "docker-registry")

# A file of tests goes to one process whole, since what its tests share may be a stack that runs.
# In the order in which they are collected: which begin first is the tests' own affair.
SHARED = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")
PROCESSES = "PYTEST_XDIST_AUTO_NUM_WORKERS"  # what `auto` is
WAITING = 1.5  # for each processor: most tests wait at times, for the engine or for a program
MOST = 8  # each process imports and collects everything


def run(root: Path, wanted: Collection[str], arguments: str) -> None:
    """Run the whole suite, or the parts of it that were asked for; tests among the `arguments` are
    such parts as well.

    Tests that the machine cannot run are named as not run; asked for by name, they are a
    MachineError. Raises TestsFailed.
    """
    named = _names_tests(root, arguments)
    folders = [f"tests/{name}" for name in PARTS if name in wanted]
    console.step(f"test {' '.join(folders)}".rstrip())
    ignored: list[str] = []
    whole = not (wanted or named)
    there = (root / "tests/swarm").is_dir()
    if there and (whole or "swarm" in wanted) and (lack := missing_for_nodes()):
        if "swarm" in wanted:
            raise MachineError("testing tests/swarm", lack)
        ignored = ["--ignore=tests/swarm"]
        console.warn(f"not run: tests/swarm, since {lack}")
    status = signals.run(
        command([*folders, *(["tests"] if whole else []), *ignored], arguments),
        root,
        environment(os.environ, os.cpu_count() or 1),
    )
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test" if not ignored else "test, without tests/swarm")


def _names_tests(root: Path, arguments: str) -> bool:
    """Whether what goes to pytest says itself which tests are meant: tests/…, up to a `::`."""
    words = [word.partition("::")[0] for word in shlex.split(arguments)]
    return any(word.startswith("tests/") and (root / word).exists() for word in words)


def missing_for_nodes() -> str:
    """Why several nodes cannot be made on this machine; empty where they can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} is not installed"
    name = f"upgrade-gate-try-{secrets.token_hex(4)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    said = made.stderr.strip() or "no reason is given"
    return "" if made.returncode == 0 else f"network namespaces are refused: {said}"


def command(parts: Sequence[str], arguments: str) -> list[str]:
    """What is run. What was given comes last, so that it wins: `-n0`, another `--dist`."""
    pytest = (sys.executable, "-m", "pytest")
    return [*pytest, *SHARED, *parts, *shlex.split(arguments)]


def environment(given: Mapping[str, str], processors: int) -> dict[str, str]:
    """This process's own, with the number of processes unless it is said already, and with
    bytecode kept: the tests start hundreds of Pythons, each of which would compile it all."""
    processes = min(round(processors * WAITING), MOST)
    kept = {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {PROCESSES: str(processes), **kept}
