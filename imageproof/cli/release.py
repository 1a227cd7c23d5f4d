"""Commands about releases: push, promote, deploy, rollback, status."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


@command(
    "release",
    help={
        "registry": "HOST/PREFIX, below which each image has its name in the contract",
        "tag": "else the commit",
        "output": "the release file; else .imageproof/release.json",
    },
)
def push(_: Context, registry: str = "", tag: str | None = None, output: str | None = None) -> None:
    """Verify the images, push them, and write the release file: what arrived, by digest"""
    from imageproof.commands import push as commands

    commands.push(*load_project(), registry, tag, output)


@command(
    "release",
    positional=["release"],
    help={
        "release": "a release file, or docker://HOST/PREFIX:TAG for what `build --push` made",
        "to": "HOST/PREFIX",
        "tag": "else the one that it has",
        "output": "the new release file; else .imageproof/release.json",
    },
)
def promote(
    _: Context, release: str, to: str = "", tag: str | None = None, output: str | None = None
) -> None:
    """Verify a release in its registry, and copy it elsewhere by digest: nothing is built"""
    from imageproof.commands import push as commands

    commands.promote(*load_project(), release, to, tag, output)


ELSEWHERE = {
    "name": "of the stack; default: the compose file's",
    "host": "a manager's engine, as DOCKER_HOST names it: ssh://USER@HOST",
    "context": "a docker context of a manager",
}


@command(
    "release",
    help={
        **ELSEWHERE,
        "release": "the file that `push` or `promote` wrote; default: .imageproof/release.json",
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
    from imageproof.report import swarm as report
    from imageproof.swarm import deploy, target

    terms, engine = load_project()
    with target.asking(engine, name, host, context) as stack:
        if plan:
            report.plans(deploy.plan_of(terms, engine, release, stack))
        else:
            report.status(deploy.deploy(terms, engine, release, stack, within))


@command("release", help={**ELSEWHERE, "within": "seconds until it is given up"})
def rollback(
    _: Context,
    name: str | None = None,
    within: float = 600.0,
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Take each service of the stack back to what it was before the last deployment"""
    from imageproof.report import swarm as report
    from imageproof.swarm import deploy, target

    _terms, engine = load_project()
    with target.asking(engine, name, host, context) as stack:
        report.status(deploy.rollback(engine, stack, within))


@command("release", help={**ELSEWHERE, "format": "table or json"})
def status(
    _: Context,
    name: str | None = None,
    format: str = "table",  # noqa: A002  # the option's name
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Show the services of a stack on a swarm, and each task: node, state, image, error"""
    from imageproof.report import swarm as report
    from imageproof.swarm import deploy, target

    _terms, engine = load_project()
    with target.asking(engine, name, host, context) as stack:
        report.status(deploy.status(engine, stack), format)
