"""Lock files: every version with its hashes, and no registry address."""

from __future__ import annotations

import os
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
# Group of all tools and libraries, locked first: the images are locked to its versions, so that
# the tests run with the versions of the images.
DEV = "dev"


def image_groups(contract: Contract) -> tuple[str, ...]:
    """Return the dependency groups of images: `lock = "locks/api.txt"` is the group `api`."""
    return tuple(
        dict.fromkeys(Path(image.lock).stem for image in contract.images.values() if image.lock)
    )


def separate_groups(contract: Contract) -> tuple[str, ...]:
    """Return the other groups that have a lock file: tools with an environment of their own."""
    groups = {path.stem for path in (contract.root / FOLDER).glob("*.txt")}
    return tuple(sorted(groups - {DEV, *image_groups(contract)}))


def lock(contract: Contract) -> None:
    """Compile each lock file with the newest versions of its dependency group (PEP 735).

    Raises MachineError if uv cannot resolve the dependencies, for example without a registry.
    """
    folder = contract.root / FOLDER
    if not os.access(folder, os.W_OK):
        raise MachineError(
            "locking",
            f"{folder} cannot be written",
            hint="work in a copy of this folder that can be written",
        )
    console.step("lock")
    images = image_groups(contract)
    for group in (DEV, *images, *separate_groups(contract)):
        target = f"{FOLDER}/{group}.txt"
        console.say(f"  {target}")
        result = subprocess.run(
            _uv_command(group, target, of_image=group in images),
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


def _uv_command(group: str, target: str, *, of_image: bool) -> list[str]:
    command = [str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml"]
    command += ["--quiet", "--no-header", "--generate-hashes", "--no-emit-index-url"]
    command += ["--python-version", PYTHON, "--group", group, "--output-file", target]
    # The toolkit runs on any platform, the images on Linux only.
    command += ["--universal"] if group == DEV else ["--python-platform", "linux"]
    # The versions of an image follow those of the group DEV.
    return [*command, *(["--constraint", f"{FOLDER}/{DEV}.txt"] if of_image else ["--upgrade"])]
