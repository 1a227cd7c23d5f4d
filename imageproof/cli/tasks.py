"""The commands: parse, call the library, render. No logic stands here.

The library is imported inside each command, so that `./inv --list` stays quick.
"""

from __future__ import annotations

import sys

from invoke.collection import Collection
from invoke.context import Context

from imageproof.cli.command import command
from imageproof.cli.command import line as _line
from imageproof.cli.release import deploy, promote, push, rollback, status

__all__ = ["deploy", "namespace", "promote", "push", "rollback", "status"]


# --- the machine


@command("machine")
def provision(_: Context) -> None:
    """Make a bare Debian/Ubuntu machine able to run the rest (as root)"""
    from imageproof.machine.provision import provision

    provision(*_line())


@command("machine", help={"format": "table or json"})
def doctor(_: Context, format: str = "table") -> None:  # noqa: A002  # the option's name
    """Show each prerequisite, what is wrong, and the command that mends it"""
    from imageproof.machine.doctor import examine, judge
    from imageproof.report import summary

    found = examine(*_line())
    summary.prerequisites(found, format)
    judge(found)


# --- the images


@command(
    "images",
    help={
        "image": "only this image of the contract",
        "cache": "use the cache",
        "builder": "a builder of buildx, or a docker context, instead of this machine's engine",
        "platform": "several, as in linux/amd64,linux/arm64",
        "cache-from": "as buildx takes it; {image} in it stands for the image's name",
        "cache-to": "the same, as in type=registry,ref=HOST/cache:{image},mode=max",
        "load": "bring what another builder made into the engine",
        "push": "HOST/PREFIX: to a registry instead of the engine, to be promoted from there",
        "tag": "of what is pushed; else the commit",
        "output": "a folder that gets an OCI layout an image, instead of the engine",
    },
)
def build(
    _: Context,
    image: str | None = None,
    cache: bool = True,
    builder: str | None = None,
    platform: str | None = None,
    cache_from: str | None = None,
    cache_to: str | None = None,
    load: bool = False,
    push: str | None = None,
    tag: str | None = None,
    output: str | None = None,
) -> None:
    """Build all images in one parallel graph"""
    from imageproof.build.options import parse_options
    from imageproof.commands import line

    options = parse_options(
        cache=cache,
        builder=builder,
        platform=platform,
        cache_from=cache_from,
        cache_to=cache_to,
        load=load,
        push=push,
        tag=tag,
        output=output,
    )
    line.build(*_line(), image, options)


@command("images")
def lint(_: Context) -> None:
    """Read every source without running it: Dockerfiles, compose, Python, workflow"""
    from imageproof.commands import line

    line.lint(*_line())


@command(
    "images",
    help={
        "image": "NAME of the contract, or NAME=REF to judge any image by it: a tag in the engine, "
        "docker://HOST/NAME:TAG in a registry, a file or a folder",
        "platform": "of a REF that holds images for several, as in linux/arm64",
        "only": "one check by its id, or a group of them: run",
        "static": "start no container",
        "deep": "build twice and try a copy of the stack as well; takes minutes",
        "stack": "of a swarm: only its tasks on this engine's node",
        "format": "table, json, junit, sarif, markdown or html",
        "output": "a file, instead of standard output",
    },
)
def verify(
    _: Context,
    image: str | None = None,
    only: str | None = None,
    static: bool = False,
    deep: bool = False,
    stack: str | None = None,
    format: str = "table",  # noqa: A002  # the option's name
    output: str | None = None,
    platform: str | None = None,
) -> None:
    """Hold every image, and the stack where it runs, to the contract"""
    from imageproof.commands import line
    from imageproof.verify.run import parse_request

    request = parse_request(image, only, static=static, deep=deep, stack=stack, platform=platform)
    line.verify(*_line(), request, format, output)


@command("images", positional=["id"], help={"id": "a check; or all, as Markdown"})
def explain(_: Context, id: str) -> None:  # noqa: A002  # the word that a user types
    """What a check asks, why, how to mend it, its reference"""
    from imageproof.report import check_reference

    check_reference.show(id)


@command(
    "images",
    help={
        "image": "only this image of the contract",
        "record": "what it is now is what later sizes are compared with",
    },
)
def size(_: Context, image: str | None = None, record: bool = False) -> None:
    """Where the bytes of each image are, and what changed since its size was recorded"""
    from imageproof.commands import line

    line.size(*_line(), image, record=record)


@command(
    "images",
    help={
        "image": "NAME of the contract, or NAME=REF: that alone, on standard output",
        "output": "a folder; without it .imageproof/sbom",
    },
)
def sbom(_: Context, image: str | None = None, output: str | None = None) -> None:
    """A software bill of materials for each image (CycloneDX)"""
    from imageproof.commands import line

    line.sbom(*_line(), image, output)


# --- the stack


@command("stack")
def up(_: Context) -> None:
    """Lint and build, verify, start the stack, wait for health, verify it running"""
    from imageproof.commands.up import up

    up(*_line())


@command("stack", help={"volumes": "remove the stack's volumes as well"})
def down(_: Context, volumes: bool = False) -> None:
    """Stop and remove the stack, orphans as well"""
    from imageproof.stack import compose

    compose.down(_line()[1], volumes=volumes)


@command(
    "stack",
    help={
        "service": "only this service",
        "follow": "go on until Ctrl-C",
        "lines": "how many of the last lines",
    },
)
def logs(_: Context, service: str = "", follow: bool = False, lines: int = 100) -> None:
    """Show the log of the stack, or of one service"""
    from imageproof import console
    from imageproof.stack import compose

    for line in compose.follow_logs(_line()[1], service or None, follow=follow, lines=lines):
        console.write(line)


@command("stack")
def ps(_: Context) -> None:
    """Show each container of the stack: state, health, ports"""
    from imageproof.report import summary
    from imageproof.stack import compose

    summary.stack(compose.states(_line()[1]))


@command("stack", help={"detach": "leave it running; docker stops it"})
def run_api(_: Context, detach: bool = False) -> None:
    """Run the API alone, ephemeral, on a free port"""
    from imageproof.stack import single_container

    single_container.run(*_line(), detach=detach)


@command("stack", positional=["service"], help={"command": "run this instead of a shell"})
def debug(_: Context, service: str, command: str = "") -> None:
    """Open a shell with tools beside a running container that has none"""
    from imageproof.stack import single_container

    single_container.debug(*_line(), service, command)


@command("stack")
def watch(_: Context) -> None:
    """Bring each change of the code to the running stack, until Ctrl-C"""
    from imageproof.commands import line

    line.watch(*_line())


# --- the project


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


@command("project", help={"base": "the base image that was made here as well"})
def clean(_: Context, base: bool = False) -> None:
    """Remove what this project made in the engine, and nothing else"""
    from imageproof.commands import line

    line.clean(*_line(), base=base)


namespace = Collection.from_module(sys.modules[__name__])
