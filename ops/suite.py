"""The test suite, run by pytest in this environment."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from ops import console
from ops.errors import MachineError, TestsFailed

PARTS = ("unit", "e2e", "swarm")
# The swarm's tests make machines of namespaces: iproute2, util-linux, the engine, a registry.
NEEDED = ("ip", "nsenter", "unshare", "setpriv", "dockerd", "docker-registry")


def run(root: Path, wanted: Collection[str], arguments: str) -> None:
    """Run the whole suite, or the parts of it that were asked for.

    Tests that the machine cannot run are named as not run; asked for by name, they are a
    MachineError. Raises TestsFailed.
    """
    folders = [f"tests/{name}" for name in PARTS if name in wanted]
    console.step(f"test {' '.join(folders)}".rstrip())
    ignored: list[str] = []
    there = (root / "tests/swarm").is_dir()
    if there and (not wanted or "swarm" in wanted) and (lack := missing_for_nodes()):
        if "swarm" in wanted:
            raise MachineError("testing tests/swarm", lack)
        ignored = ["--ignore=tests/swarm"]
        console.warn(f"not run: tests/swarm, since {lack}")
    command = [sys.executable, "-m", "pytest", *(folders or ["tests"]), *ignored]
    status = subprocess.run([*command, *shlex.split(arguments)], cwd=root, check=False).returncode
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test" if not ignored else "test, without tests/swarm")


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
