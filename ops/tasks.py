"""This repository's Invoke tasks: imageproof's commands, and what belongs to this repository only."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.collection import make_collection
from imageproof.cli.command import command, load_project


@command("images")
def lint(_: Context) -> None:
    """Read every source without running it: Dockerfiles, compose, Python, workflow"""
    from imageproof.commands import lint as commands
    from ops.linters import linters

    contract, engine = load_project()
    commands.lint(contract, engine, linters(contract.root))


@command("project")
def lock(_: Context) -> None:
    """Make the lock files anew: versions and hashes, no addresses"""
    from imageproof import contract
    from ops import locks

    locks.lock(contract.load())


@command(
    "project",
    help={
        "unit": "no engine, seconds",
        "e2e": "on a real engine",
        "swarm": "on three nodes, in namespaces of this machine; as root",
    },
)
def test(context: Context, unit: bool = False, e2e: bool = False, swarm: bool = False) -> None:
    """Run the test suite; what follows `--` goes to pytest"""
    from imageproof import contract
    from ops import test_runner

    parts = {"unit": unit, "e2e": e2e, "swarm": swarm}
    wanted = [name for name, asked in parts.items() if asked]
    test_runner.run(contract.load().root, wanted, context.remainder)


@command(
    "project",
    help={
        "part": "images, line or reviews alone; then docs/performance.md stays as it is",
        "peers": "instead: who catches which planted fault (writes docs/comparison.md)",
        "docker-bench": "a checkout of docker-bench-security, to be compared with as well",
    },
)
def bench(
    _: Context, part: str | None = None, peers: bool = False, docker_bench: str | None = None
) -> None:
    """Measure beside what others use, in the same run (writes docs/performance.md)"""
    from imageproof import contract
    from ops import bench

    root = contract.load().root
    if peers:
        bench.peers(root, docker_bench)
    else:
        bench.measure(root, part)


namespace = make_collection(lint, lock, test, bench)
