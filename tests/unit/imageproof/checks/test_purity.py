"""Checks are pure: importing them loads no module that talks to Docker or starts a process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import imageproof.checks
print([m for m in sys.modules if m.startswith(("imageproof.docker", "python_on_whales", "docker"))])
"""


def test_importing_every_check_loads_no_docker_module():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
