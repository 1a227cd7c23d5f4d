"""Test runner: pytest in several processes (pytest-xdist)."""

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
PROCESSES_VARIABLE = "PYTEST_XDIST_AUTO_NUM_WORKERS"  # the number that `auto` stands for
PROCESSES_PER_CPU = 1.5  # more than 1: most tests wait for the engine or a program at times
MAX_PROCESSES = 8  # each process imports the whole suite


def run(root: Path, wanted: Collection[str], arguments: str) -> None:
    """Run the wanted parts of the suite, the tests named by `arguments`, or everything.

    Args:
        root: Folder of the project.
        wanted: Names of PARTS.
        arguments: Arguments for pytest, as one string.

    Raises:
        MachineError: The swarm tests are wanted, and this machine cannot run them. (A run of
            everything skips them with a warning.)
        TestsFailed: pytest failed.
    """
    folders = [f"tests/{name}" for name in PARTS if name in wanted]
    console.step(f"test {' '.join(folders)}".rstrip())
    runs_everything = not (wanted or _names_tests(root, arguments))
    paths = ["tests"] if runs_everything else folders
    without_swarm = False
    runs_swarm = (root / "tests/swarm").is_dir() and (runs_everything or "swarm" in wanted)
    if runs_swarm and (missing := missing_for_swarm()):
        if "swarm" in wanted:
            raise MachineError(
                "testing tests/swarm",
                missing,
                hint="run it as root on Linux; `./inv test --unit` needs less",
            )
        without_swarm = True
        paths.append("--ignore=tests/swarm")
        console.warn(f"not run: tests/swarm, since {missing}")
    status = signals.run(
        pytest_command(paths, arguments),
        root,
        pytest_environment(os.environ, os.cpu_count() or 1),
    )
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test, without tests/swarm" if without_swarm else "test")


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
    namespace = f"upgrade-gate-try-{secrets.token_hex(4)}"
    addition = subprocess.run(
        ["ip", "netns", "add", namespace], capture_output=True, text=True, check=False
    )
    subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
    if addition.returncode == 0:
        return ""
    return f"network namespaces are refused: {addition.stderr.strip() or 'ip gave no reason'}"


def pytest_command(paths: Sequence[str], arguments: str) -> list[str]:
    """Return pytest's command line. `arguments` come last, so that `-n0` or `--dist` override."""
    pytest = (sys.executable, "-m", "pytest")
    return [*pytest, *XDIST, *paths, *shlex.split(arguments)]


def pytest_environment(environment: Mapping[str, str], processors: int) -> dict[str, str]:
    """Return the environment for pytest: with a number of processes unless it is set.

    Bytecode is enabled: without it, hundreds of Python processes would each compile every module.
    """
    processes = min(round(processors * PROCESSES_PER_CPU), MAX_PROCESSES)
    variables = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {PROCESSES_VARIABLE: str(processes), **variables}
