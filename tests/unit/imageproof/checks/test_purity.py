"""Purity of the checks: importing them loads no module that calls Docker."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import imageproof.checks
print([m for m in sys.modules if m.startswith(("imageproof.docker", "python_on_whales", "docker"))])
"""


def test_importing_the_checks_loads_no_docker_module():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
