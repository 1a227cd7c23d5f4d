"""The test suite, run by pytest in this environment."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from ops import console
from ops.errors import TestsFailed


def run(root: Path, *, unit: bool, e2e: bool, arguments: str) -> None:
    """Run the whole suite, or the part that was asked for. Raises TestsFailed."""
    parts = [f"tests/{name}" for name, wanted in (("unit", unit), ("e2e", e2e)) if wanted]
    console.step(f"test {' '.join(parts)}".rstrip())
    command = [sys.executable, "-m", "pytest", *(parts or ["tests"]), *shlex.split(arguments)]
    status = subprocess.run(command, cwd=root, check=False).returncode
    if status != 0:
        raise TestsFailed("testing", f"pytest ended with status {status}", hint="see above")
    console.done("test")
