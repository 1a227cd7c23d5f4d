"""Benchmarks of this project beside other tools, in one run.

The measurements are modules of the tests: tests.bench and tests.peers. The tools that `--peers`
compares with are installed in an environment of their own, on demand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from imageproof import console, signals
from imageproof.errors import MachineError, TestsFailed, UsageError

LOCK = "locks/peers.txt"
PEERS_FOLDER = ".ops/peers"
PEERS_MODULE = "tests.peers"
BENCH_MODULE = "tests.bench"
PARTS = ("images", "commands", "reviews")
BENCH_SCRIPT = "docker-bench-security.sh"


def measure(root: Path, part: str | None) -> None:
    """Run the benchmarks, or one part.

    Raises UsageError for an unknown part, TestsFailed if a benchmark fails.
    """
    if part and part not in PARTS:
        raise UsageError("reading the command line", f"--part is one of {', '.join(PARTS)}")
    console.step(f"bench: {part or ', '.join(PARTS)}")
    command = [sys.executable, "-m", BENCH_MODULE, *([part] if part else [])]
    _run(command, root, BENCH_MODULE)


def _run(command: list[str], root: Path, module: str) -> None:
    status = signals.run(command, root, os.environ)
    if status != 0:
        raise TestsFailed("comparing", f"{module} ended with status {status}", hint="see above")
    console.done("bench")


def peers(root: Path, docker_bench: str | None) -> None:
    """Install the peers and compare. `docker_bench`: a checkout of docker-bench-security.

    Raises MachineError if a tool cannot be installed, UsageError if the checkout lacks the script,
    TestsFailed if the comparison fails.
    """
    if docker_bench and not Path(docker_bench, BENCH_SCRIPT).is_file():
        raise UsageError(
            "reading the command line", f"there is no {BENCH_SCRIPT} in {docker_bench}"
        )
    console.step("bench: the peers")
    programs = _install(root)
    command = [sys.executable, "-m", PEERS_MODULE, "--bin", str(programs)]
    if found := _goss(root / PEERS_FOLDER):
        command += ["--goss", str(found[0]), "--goss-version", found[1]]
    if docker_bench:
        command += ["--docker-bench", str(Path(docker_bench).resolve())]
    _run(command, root, PEERS_MODULE)


def _install(root: Path) -> Path:
    """Install the locked tools in an environment; return its folder of programs."""
    place = root / PEERS_FOLDER / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    for command in (
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(place), LOCK],
    ):
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise MachineError(
                "installing the peers",
                f"uv could not install what {LOCK} names",
                tail=result.stderr.splitlines(),
                hint="uv takes a mirror from its own configuration, or from UV_DEFAULT_INDEX",
            )
    return place / "bin"


def _goss(place: Path) -> tuple[Path, str] | None:
    """Return goss and its version, unpacked from Debian's package; None if apt has none."""
    program = place / "goss/usr/bin/goss"
    version = place / "goss/version"  # written last
    if not version.exists():
        known = _lines("apt-cache", "madison", "goss", cwd=place)
        if not known:
            console.warn("apt has no package goss: goss is left out")
            return None
        number = known[0].split("|")[1].strip()
        _lines("apt-get", "download", f"goss={number}", cwd=place)
        for archive in place.glob("goss_*.deb"):
            _lines("dpkg-deb", "--extract", archive.name, "goss", cwd=place)
            archive.unlink()
        if not program.exists():
            console.warn("apt could not download goss: goss is left out")
            return None
        version.write_text(number)
    return program, version.read_text()


def _lines(program: str, *arguments: str, cwd: Path) -> list[str]:
    if not shutil.which(program):
        return []
    command = [program, *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    ).stdout.splitlines()
