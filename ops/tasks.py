"""The commands: parse, call the library, render. No logic stands here.

The library is imported inside each command, so that `./inv --list` stays quick.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from ops.errors import OpsError, unexpected

if TYPE_CHECKING:
    from ops.contract import Contract
    from ops.engine import Engine

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
GROUPS: dict[str, list[str]] = {}


def command(
    group: str, **options: Any
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Make a function a command: in a group, and with failures shown instead of raised."""

    def decorate(function: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> None:
            from ops import console

            try:
                function(*arguments, **keywords)
            except OpsError as error:
                console.render_error(error, debug=_debug())
                raise Exit(code=error.status) from error
            except KeyboardInterrupt:
                console.say("interrupted")
                raise Exit(code=INTERRUPTED) from None
            except Exit:
                raise
            except Exception as error:
                console.render_error(unexpected(error), debug=_debug())
                raise Exit(code=1) from error

        made: Task[Callable[..., None]] = Task(guarded, **options)
        GROUPS.setdefault(group, []).append(made.name.replace("_", "-"))
        return made

    return decorate


def _debug() -> bool:
    return "--debug" in sys.argv


def _line() -> tuple[Contract, Engine]:
    """What most commands are about: the contract, and the engine with the contract's stack."""
    from ops import contract, engine

    terms = contract.load()
    return terms, engine.Engine((terms.compose_file,))


# --- the machine


@command("machine")
def provision(_: Context) -> None:
    """Make a bare Debian/Ubuntu machine able to run the rest (as root)"""
    from ops.provision import provision

    provision(*_line())


@command("machine", help={"format": "table or json"})
def doctor(_: Context, format: str = "table") -> None:  # noqa: A002  # the option's name
    """Show each prerequisite, what is wrong, and the command that mends it"""
    from ops.prerequisites import examine, judge
    from ops.report import summary

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
    from ops import line
    from ops.builder import parse_options

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
    from ops import line

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
    from ops import line
    from ops.verify import parse_request

    request = parse_request(image, only, static=static, deep=deep, stack=stack, platform=platform)
    line.verify(*_line(), request, format, output)


@command("images", positional=["id"], help={"id": "a check; or all, as Markdown"})
def explain(_: Context, id: str) -> None:  # noqa: A002  # the word that a user types
    """What a check asks, why, how to mend it, its reference"""
    from ops.report import reference

    reference.show(id)


@command(
    "images",
    help={
        "image": "only this image of the contract",
        "record": "what it is now is what later sizes are compared with",
    },
)
def size(_: Context, image: str | None = None, record: bool = False) -> None:
    """Where the bytes of each image are, and what changed since its size was recorded"""
    from ops import line

    line.size(*_line(), image, record=record)


@command(
    "images",
    help={
        "image": "NAME of the contract, or NAME=REF: that alone, on standard output",
        "output": "a folder; without it .ops/sbom",
    },
)
def sbom(_: Context, image: str | None = None, output: str | None = None) -> None:
    """A software bill of materials for each image (CycloneDX)"""
    from ops import line

    line.sbom(*_line(), image, output)


# --- delivery


@command(
    "delivery",
    help={
        "registry": "HOST/PREFIX, below which each image has its name in the contract",
        "tag": "else the commit",
        "output": "the release file; else .ops/release.json",
    },
)
def push(_: Context, registry: str = "", tag: str | None = None, output: str | None = None) -> None:
    """Verify the images, push them, and write the release file: what arrived, by digest"""
    from ops import line

    line.push(*_line(), registry, tag, output)


@command(
    "delivery",
    positional=["release"],
    help={
        "release": "a release file, or docker://HOST/PREFIX:TAG for what `build --push` made",
        "to": "HOST/PREFIX",
        "tag": "else the one that it has",
        "output": "the new release file; else .ops/release.json",
    },
)
def promote(
    _: Context, release: str, to: str = "", tag: str | None = None, output: str | None = None
) -> None:
    """Verify a release in its registry, and copy it elsewhere by digest: nothing is built"""
    from ops import line

    line.promote(*_line(), release, to, tag, output)


# --- the stack


@command("stack")
def up(_: Context) -> None:
    """Lint, build, verify, start the stack, wait for health, verify it running"""
    from ops.up import up

    up(*_line())


@command("stack", help={"volumes": "remove the stack's volumes as well"})
def down(_: Context, volumes: bool = False) -> None:
    """Stop and remove the stack, orphans as well"""
    from ops import stack

    stack.down(_line()[1], volumes=volumes)


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
    from ops import console, stack

    for line in stack.follow_logs(_line()[1], service or None, follow=follow, lines=lines):
        console.write(line)


@command("stack")
def ps(_: Context) -> None:
    """Show each container of the stack: state, health, ports"""
    from ops import stack
    from ops.report import summary

    summary.stack(stack.states(_line()[1]))


@command("stack", help={"detach": "leave it running; docker stops it"})
def run_api(_: Context, detach: bool = False) -> None:
    """Run the API alone, ephemeral, on a free port"""
    from ops import alone

    alone.run(*_line(), detach=detach)


@command("stack", positional=["service"], help={"command": "run this instead of a shell"})
def debug(_: Context, service: str, command: str = "") -> None:
    """Open a shell with tools beside a running container that has none"""
    from ops import alone

    alone.debug(*_line(), service, command)


@command("stack")
def watch(_: Context) -> None:
    """Bring each change of the code to the running stack, until Ctrl-C"""
    from ops import line

    line.watch(*_line())


# --- the swarm

ELSEWHERE = {
    "name": "of the stack; default: the compose file's",
    "host": "a manager's engine, as DOCKER_HOST names it: ssh://USER@HOST",
    "context": "a docker context of a manager",
}


@command(
    "swarm",
    help={
        **ELSEWHERE,
        "release": "the file that `push` or `promote` wrote; default: .ops/release.json",
        "plan": "say what would change, and change nothing",
        "within": "seconds until it is given up, and taken back",
    },
)
def deploy(
    _: Context,
    release: str | None = None,
    name: str | None = None,
    plan: bool = False,
    within: float = 600.0,
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Bring the stack on a swarm to a release, by digests, one healthy task after the other"""
    from ops.report import swarm as report
    from ops.swarm import deploy, target

    terms, engine = _line()
    with target.asking(engine, name, host, context) as stack:
        if plan:
            report.plans(deploy.plan_of(terms, engine, release, stack))
        else:
            report.status(deploy.deploy(terms, engine, release, stack, within))


@command("swarm", help={**ELSEWHERE, "within": "seconds until it is given up"})
def rollback(
    _: Context,
    name: str | None = None,
    within: float = 600.0,
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Take each service of the stack back to what it was before the last deployment"""
    from ops.report import swarm as report
    from ops.swarm import deploy, target

    _terms, engine = _line()
    with target.asking(engine, name, host, context) as stack:
        report.status(deploy.rollback(engine, stack, within))


@command("swarm", help={**ELSEWHERE, "format": "table or json"})
def status(
    _: Context,
    name: str | None = None,
    format: str = "table",  # noqa: A002  # the option's name
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Show the services of a stack on a swarm, and each task: node, state, image, error"""
    from ops.report import swarm as report
    from ops.swarm import deploy, target

    _terms, engine = _line()
    with target.asking(engine, name, host, context) as stack:
        report.status(deploy.status(engine, stack), format)


# --- the project


@command("project")
def lock(_: Context) -> None:
    """Make the lock files anew: versions and hashes, no addresses"""
    from ops import contract, locks

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
    from ops import contract, suite

    parts = {"unit": unit, "e2e": e2e, "swarm": swarm}
    wanted = [name for name, asked in parts.items() if asked]
    suite.run(contract.load().root, wanted, context.remainder)


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
    from ops import bench, contract

    root = contract.load().root
    if peers:
        bench.peers(root, docker_bench)
    else:
        bench.measure(root, part)


@command("project", help={"base": "the base image that was made here as well"})
def clean(_: Context, base: bool = False) -> None:
    """Remove what this project made in the engine, and nothing else"""
    from ops import line

    line.clean(*_line(), base=base)


namespace = Collection.from_module(sys.modules[__name__])
