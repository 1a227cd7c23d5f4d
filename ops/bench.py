"""Benchmarks of this project beside other tools, in one run.

The measurements are modules of the tests: tests.bench and tests.peers. Peers, the tools that
`--peers` compares with, are installed on demand, in an environment of their own.
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
DOCKER_BENCH_SCRIPT = "docker-bench-security.sh"


def measure(root: Path, part: str | None) -> None:
    """Run the benchmarks, or one part.

    Raises UsageError for an unknown part, TestsFailed if a benchmark fails.
    """
    if part and part not in PARTS:
        raise UsageError(
            "reading the command line",
            f"--part is one of {', '.join(PARTS)}",
            hint="`./inv bench` measures all parts",
        )
    console.step(f"bench: {part or ', '.join(PARTS)}")
    command = [sys.executable, "-m", BENCH_MODULE, *([part] if part else [])]
    _run(command, root, BENCH_MODULE)


def _run(command: list[str], root: Path, module: str) -> None:
    status = signals.run(command, root, os.environ)
    if status != 0:
        raise TestsFailed("benchmarking", f"{module} ended with status {status}", hint="see above")
    console.done("bench")


def compare_with_peers(root: Path, docker_bench: str | None) -> None:
    """Install the peers and compare their findings with imageproof's.

    Args:
        root: The project's folder.
        docker_bench: A checkout of docker-bench-security; None leaves it out.

    Raises:
        MachineError: A tool cannot be installed.
        UsageError: The checkout lacks the script.
        TestsFailed: The comparison fails.
    """
    if docker_bench and not Path(docker_bench, DOCKER_BENCH_SCRIPT).is_file():
        raise UsageError(
            "reading the command line",
            f"there is no {DOCKER_BENCH_SCRIPT} in {docker_bench}",
            hint="--docker-bench names a checkout of docker-bench-security",
        )
    console.step("bench: the peers")
    programs = _install_locked_peers(root)
    command = [sys.executable, "-m", PEERS_MODULE, "--bin", str(programs)]
    if goss := _install_goss(root / PEERS_FOLDER):
        program, version = goss
        command += ["--goss", str(program), "--goss-version", version]
    if docker_bench:
        command += ["--docker-bench", str(Path(docker_bench).resolve())]
    _run(command, root, PEERS_MODULE)


def _install_locked_peers(root: Path) -> Path:
    """Install the locked peers in an environment, and return its folder of programs."""
    environment = root / PEERS_FOLDER / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    for command in (
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(environment), LOCK],
    ):
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise MachineError(
                "installing the peers",
                f"uv could not install the packages of {LOCK}",
                tail=result.stderr.splitlines(),
                hint="uv takes a mirror from its own configuration, or from UV_DEFAULT_INDEX",
            )
    return environment / "bin"


def _install_goss(folder: Path) -> tuple[Path, str] | None:
    """Unpack goss from Debian's package; return the program and its version, None without it."""
    program = folder / "goss/usr/bin/goss"
    version_file = folder / "goss/version"  # written last
    if not version_file.exists():
        available = _run_for_lines("apt-cache", "madison", "goss", cwd=folder)
        if not available:
            console.warn("apt has no package goss: goss is left out")
            return None
        version = available[0].split("|")[1].strip()  # PACKAGE | VERSION | SOURCE
        _run_for_lines("apt-get", "download", f"goss={version}", cwd=folder)
        for archive in folder.glob("goss_*.deb"):
            _run_for_lines("dpkg-deb", "--extract", archive.name, "goss", cwd=folder)
            archive.unlink()
        if not program.exists():
            console.warn("apt could not download goss: goss is left out")
            return None
        version_file.write_text(version)
    return program, version_file.read_text()


def _run_for_lines(program: str, *arguments: str, cwd: Path) -> list[str]:
    """Return the lines that a program prints; none if it is not installed."""
    if not shutil.which(program):
        return []
    command = [program, *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    ).stdout.splitlines()
