"""Lock files: every version with its hashes, and no address of any registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import MachineError

if TYPE_CHECKING:
    from imageproof.contract import Contract

FOLDER = "locks"
PYTHON = "3.11"
# What all is made for, first: the others take its versions, so that images and tests agree.
ALL = "dev"


def of_images(contract: Contract) -> tuple[str, ...]:
    """The groups that images are made of: `lock = "locks/api.txt"` is the group `api`."""
    return tuple(dict.fromkeys(Path(i.lock).stem for i in contract.images.values() if i.lock))


def apart(contract: Contract) -> tuple[str, ...]:
    """The other groups that have a lock file: tools in an environment of their own, whose versions
    are nobody else's business."""
    known = {path.stem for path in (contract.root / FOLDER).glob("*.txt")}
    return tuple(sorted(known - {ALL, *of_images(contract)}))


def lock(contract: Contract, *, upgrade: bool = True) -> None:
    """Make each lock file anew from the dependency groups of pyproject.toml (PEP 735).

    Raises MachineError where no package registry answers.
    """
    console.step("lock")
    images = of_images(contract)
    for group in (ALL, *images, *apart(contract)):
        target = f"{FOLDER}/{group}.txt"
        console.say(f"  {target}")
        result = subprocess.run(
            _command(group, target, upgrade=upgrade, of_image=group in images),
            cwd=contract.root,
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


def _command(group: str, target: str, *, upgrade: bool, of_image: bool) -> list[str]:
    command = [str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml"]
    command += ["--quiet", "--no-header", "--generate-hashes", "--no-emit-index-url"]
    command += ["--python-version", PYTHON, "--group", group, "--output-file", target]
    # The toolkit runs on people's machines, the images on Linux alone.
    command += ["--universal"] if group == ALL else ["--python-platform", "linux"]
    command += ["--constraint", f"{FOLDER}/{ALL}.txt"] if of_image else []
    return [*command, "--upgrade"] if upgrade and not of_image else command
