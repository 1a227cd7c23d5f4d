"""Invoke tasks of this repository: imageproof's commands, and its own lint, lock, test, bench."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.collection import make_collection
from imageproof.cli.command import command, load_project


@command("images")
def lint(_: Context) -> None:
    """Check Dockerfiles, compose file, environment variables, Python code and workflows"""
    from imageproof.commands import lint as commands
    from ops.linters import linter_commands

    contract, engine = load_project()
    commands.lint(contract, engine, linter_commands(contract.root))


_FORCE = "replace what is there"


@command("stack", positional=["file"], help={"file": "file to write", "force": _FORCE})
def backup(_: Context, file: str, force: bool = False) -> None:
    """Write the reviews to a file, while the stack runs"""
    from pathlib import Path

    from ops import store_backup

    _contract, engine = load_project()
    store_backup.backup(engine, Path(file), force=force)


@command("stack", positional=["file"], help={"file": "file of `backup`", "force": _FORCE})
def restore(_: Context, file: str, force: bool = False) -> None:
    """Replace the reviews by those of a backup, and start the stack"""
    from pathlib import Path

    from ops import store_backup

    _contract, engine = load_project()
    store_backup.restore(engine, Path(file), force=force)


@command("project")
def lock(_: Context) -> None:
    """Update the lock files: versions and hashes, no addresses"""
    from imageproof import contract
    from ops import locks

    locks.lock(contract.load())


@command(
    "project",
    help={
        "unit": "only unit tests: no engine, seconds",
        "e2e": "only end-to-end tests, on a real engine",
        "swarm": "only the swarm tests: three nodes in namespaces of this machine, as root",
    },
)
def test(context: Context, unit: bool = False, e2e: bool = False, swarm: bool = False) -> None:
    """Run the test suite; arguments after `--` go to pytest"""
    from imageproof import contract
    from ops import test_runner

    parts = {"unit": unit, "e2e": e2e, "swarm": swarm}
    wanted = [part for part, is_wanted in parts.items() if is_wanted]
    test_runner.run(contract.load().root, wanted, context.remainder)


@command(
    "project",
    help={
        "part": "only images, commands or reviews; docs/performance.md is not written",
        "peers": "compare findings with other tools instead (writes docs/comparison.md)",
        "docker-bench": "checkout of docker-bench-security to compare with",
    },
)
def bench(
    _: Context, part: str | None = None, peers: bool = False, docker_bench: str | None = None
) -> None:
    """Measure this project beside other tools in one run (writes docs/performance.md)"""
    from imageproof import contract
    from ops import bench as benchmarks

    root = contract.load().root
    if peers:
        benchmarks.compare_with_peers(root, docker_bench)
    else:
        benchmarks.measure(root, part)


namespace = make_collection(lint, backup, restore, lock, test, bench)
