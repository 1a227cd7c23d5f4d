"""The test runner: pytest in several processes (pytest-xdist)."""

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
# The swarm tests make nodes from network namespaces.
SWARM_PROGRAMS = ("ip", "nsenter", "unshare", "setpriv", "dockerd", "docker-registry")

# loadfile: the tests of a file run in one process, because they may share a running stack.
# no-loadscope-reorder: tests/conftest.py orders the files.
XDIST = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")
PROCESSES = "PYTEST_XDIST_AUTO_NUM_WORKERS"  # the number that `auto` stands for
PROCESSES_PER_CPU = 1.5  # most tests wait for the engine or a program at times
MAX_PROCESSES = 8  # each process imports and collects everything


def run(root: Path, wanted: Collection[str], arguments: str) -> None:
    """Run the wanted parts of the suite, the tests named by `arguments`, or everything.

    Args:
        root: folder of the project.
        wanted: names of PARTS.
        arguments: pytest's own, as one string.

    Raises:
        MachineError: the swarm tests are wanted and this machine cannot run them. In a run of
            everything they are named as not run instead.
        TestsFailed: pytest failed.
    """
    named = _names_tests(root, arguments)
    folders = [f"tests/{name}" for name in PARTS if name in wanted]
    console.step(f"test {' '.join(folders)}".rstrip())
    ignored: list[str] = []
    whole = not (wanted or named)
    swarm_wanted = (root / "tests/swarm").is_dir() and (whole or "swarm" in wanted)
    if swarm_wanted and (missing := missing_for_swarm()):
        if "swarm" in wanted:
            raise MachineError("testing tests/swarm", missing)
        ignored = ["--ignore=tests/swarm"]
        console.warn(f"not run: tests/swarm, since {missing}")
    status = signals.run(
        pytest_command([*folders, *(["tests"] if whole else []), *ignored], arguments),
        root,
        pytest_environment(os.environ, os.cpu_count() or 1),
    )
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test" if not ignored else "test, without tests/swarm")


def _names_tests(root: Path, arguments: str) -> bool:
    """Return whether the arguments name a test path, such as tests/unit or tests/x.py::y."""
    words = [word.partition("::")[0] for word in shlex.split(arguments)]
    return any(word.startswith("tests/") and (root / word).exists() for word in words)


def missing_for_swarm() -> str:
    """Return why this machine cannot run the swarm tests; empty if it can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    missing = [name for name in SWARM_PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    name = f"upgrade-gate-try-{secrets.token_hex(4)}"
    added = subprocess.run(
        ["ip", "netns", "add", name], capture_output=True, text=True, check=False
    )
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    reason = added.stderr.strip() or "ip gave no reason"
    return "" if added.returncode == 0 else f"network namespaces are refused: {reason}"


def pytest_command(parts: Sequence[str], arguments: str) -> list[str]:
    """Return pytest's command line. `arguments` come last, so that `-n0` or `--dist` win."""
    pytest = (sys.executable, "-m", "pytest")
    return [*pytest, *XDIST, *parts, *shlex.split(arguments)]


def pytest_environment(given: Mapping[str, str], processors: int) -> dict[str, str]:
    """Return the environment with the number of processes, unless it is set, and with bytecode.

    Without bytecode, hundreds of Python processes would each compile every module.
    """
    processes = min(round(processors * PROCESSES_PER_CPU), MAX_PROCESSES)
    variables = {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {PROCESSES: str(processes), **variables}
