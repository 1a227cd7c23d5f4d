"""Commands about releases: push, promote, deploy, rollback, status."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import CHANGE_HELP, command, load_project
from imageproof.cli.options import one_of, output_new_file, registry_prefix
from imageproof.cli.options import tag as valid_tag


@command(
    "release",
    values={"registry": registry_prefix, "tag": valid_tag, "output": output_new_file},
    help={
        "registry": "HOST/PREFIX; each image is pushed to HOST/PREFIX/NAME",
        "tag": "tag to push (default: the commit)",
        "output": "the release file (default: .imageproof/release.json)",
        "dry-run": CHANGE_HELP["dry-run"],
    },
)
def push(
    _: Context,
    registry: str = "",
    tag: str | None = None,
    output: str | None = None,
    dry_run: bool = False,
) -> None:
    """Verify the images, push them, and write their digests to the release file"""
    from imageproof.commands import push as commands

    commands.push(*load_project(), registry, tag, output, dry_run=dry_run)


@command(
    "release",
    positional=["release"],
    values={"to": registry_prefix, "tag": valid_tag, "output": output_new_file},
    help={
        "release": "a release file, or docker://HOST/PREFIX:TAG for images of `build --push`",
        "to": "HOST/PREFIX to copy to",
        "tag": "new tag (default: the same)",
        "output": "the new release file (default: .imageproof/release.json)",
        "dry-run": CHANGE_HELP["dry-run"],
    },
)
def promote(
    _: Context,
    release: str,
    to: str = "",
    tag: str | None = None,
    output: str | None = None,
    dry_run: bool = False,
) -> None:
    """Verify a release in its registry, and copy it to another by digest, without a build"""
    from imageproof.commands import promote as commands

    commands.promote(*load_project(), release, to, tag, output, dry_run=dry_run)


TARGET_HELP = {
    "name": "name of the stack (default: the compose file's)",
    "host": "engine of a manager, as in DOCKER_HOST: ssh://USER@HOST",
    "context": "docker context of a manager",
}


@command(
    "release",
    help={
        **TARGET_HELP,
        "release": "file written by push or promote (default: the project's "
        ".imageproof/release.json)",
        "dry-run": CHANGE_HELP["dry-run"],
        "plan": "the same as --dry-run",
        "within": "seconds until an unfinished deployment is rolled back (default: 600)",
    },
)
def deploy(
    _: Context,
    release: str | None = None,
    name: str | None = None,
    dry_run: bool = False,
    plan: bool = False,
    within: float = 600.0,
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Deploy a release to a swarm by digest, one healthy task after the other"""
    from imageproof.commands import deploy as commands
    from imageproof.swarm.target import Target

    target = Target(name, host, context)
    commands.deploy(*load_project(), release, target, dry_run=dry_run or plan, within=within)


@command(
    "release",
    help={
        **TARGET_HELP,
        "to": "number of a release, as `status` lists them (default: the one that ran before)",
        "dry-run": CHANGE_HELP["dry-run"],
        "within": "seconds until an unfinished rollback fails (default: 600)",
    },
)
def rollback(
    _: Context,
    to: int = 0,
    name: str | None = None,
    dry_run: bool = False,
    within: float = 600.0,
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Restore the last release that ran healthy before the running one"""
    from imageproof.commands import deploy as commands
    from imageproof.swarm.target import Target

    target = Target(name, host, context)
    commands.rollback(load_project()[1], target, to or None, dry_run=dry_run, within=within)


@command(
    "release",
    values={"format": one_of("table", "json")},
    help={**TARGET_HELP, "format": "table or json"},
)
def status(
    _: Context,
    name: str | None = None,
    format: str = "table",  # noqa: A002  # the option's name
    host: str | None = None,
    context: str | None = None,
) -> None:
    """Show a stack's releases and services on a swarm, and each task: node, state, image, error"""
    from imageproof.commands import deploy as commands
    from imageproof.swarm.target import Target

    commands.status(load_project()[1], Target(name, host, context), format)
