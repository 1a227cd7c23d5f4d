"""Lock files: every version with its hashes, and no address of any registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ops import console
from ops.errors import MachineError

FOLDER = "locks"
PYTHON = "3.11"
# What all is made for, first: the others take its versions, so that images and tests agree.
ALL = "dev"
IMAGES = ("api", "worker")
# Tools in an environment of their own: their versions are nobody else's business.
APART = ("peers",)


def lock(root: Path, *, upgrade: bool = True) -> None:
    """Make each lock file anew from the dependency groups of pyproject.toml (PEP 735).

    Raises MachineError where no package registry answers.
    """
    console.step("lock")
    for group in (ALL, *IMAGES, *APART):
        target = f"{FOLDER}/{group}.txt"
        console.say(f"  {target}")
        result = subprocess.run(
            _command(group, target, upgrade=upgrade),
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise MachineError(
                f"locking {target}",
                "uv could not resolve the dependencies",
                tail=result.stderr.splitlines(),
                hint="uv takes a mirror from its own configuration, or from UV_DEFAULT_INDEX",
            )
    console.done("lock")


def _command(group: str, target: str, *, upgrade: bool) -> list[str]:
    command = [str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml"]
    command += ["--quiet", "--no-header", "--generate-hashes", "--no-emit-index-url"]
    command += ["--python-version", PYTHON, "--group", group, "--output-file", target]
    # The toolkit runs on people's machines, the images on Linux alone.
    command += ["--universal"] if group == ALL else ["--python-platform", "linux"]
    command += ["--constraint", f"{FOLDER}/{ALL}.txt"] if group in IMAGES else []
    return [*command, "--upgrade"] if upgrade and group not in IMAGES else command
