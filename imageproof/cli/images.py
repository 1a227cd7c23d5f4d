"""Commands about images: build, lint, verify, explain, size, sbom."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import WAIT_HELP, command, load_project, load_stack
from imageproof.cli.options import (
    check_ids,
    one_of,
    output_file,
    output_folder,
    platforms,
    registry_prefix,
)
from imageproof.cli.options import tag as valid_tag


@command(
    "images",
    values={
        "platform": platforms,
        "push": registry_prefix,
        "tag": valid_tag,
        "output": output_folder,
    },
    help={
        "image": "only this image of the contract",
        "cache": "use the build cache (--no-cache: run every step)",
        "pull": "first pull newer base images, or make the self-made one again",
        "builder": "a buildx builder, or a docker context, instead of this machine's engine",
        "platform": "one or more, such as linux/amd64,linux/arm64",
        "cache-from": "as in buildx; {image} stands for each image's name",
        "cache-to": "as in buildx, such as type=registry,ref=HOST/cache:{image},mode=max",
        "load": "load the result of another builder into the engine",
        "push": "HOST/PREFIX: push to a registry instead, to be promoted from there",
        "tag": "tag to push (default: the commit)",
        "output": "folder for an OCI layout of each image, instead of the engine",
        "wait": WAIT_HELP,
    },
)
def build(
    _: Context,
    image: str | None = None,
    cache: bool = True,
    pull: bool = False,
    builder: str | None = None,
    platform: str | None = None,
    cache_from: str | None = None,
    cache_to: str | None = None,
    load: bool = False,
    push: str | None = None,
    tag: str | None = None,
    output: str | None = None,
    wait: bool = True,
) -> None:
    """Build all images in one parallel graph"""
    from imageproof.build.options import parse_options
    from imageproof.commands import build as commands

    options = parse_options(
        cache=cache,
        pull=pull,
        builder=builder,
        platform=platform,
        cache_from=cache_from,
        cache_to=cache_to,
        load=load,
        push=push,
        tag=tag,
        output=output,
    )
    commands.build(*load_stack(), image, options, wait=wait)


@command("images")
def lint(_: Context) -> None:
    """Check the Dockerfiles, the compose file and its environment variables"""
    from imageproof.commands import lint as commands

    commands.lint(*load_project())


@command(
    "images",
    values={
        "only": check_ids,
        "platform": platforms,
        "format": one_of("table", "json", "junit", "sarif", "markdown", "html"),
        "output": output_file,
    },
    help={
        "image": "NAME in the contract, or NAME=REF to verify REF by the contract of NAME: a tag, "
        "docker://HOST/NAME:TAG in a registry, a `docker save` file or an OCI layout",
        "platform": "which image of a multi-platform REF, such as linux/arm64",
        "only": "one check (size.budget) or a group (size)",
        "static": "start no container",
        "deep": "also build twice and test a copy of the stack; takes minutes",
        "stack": "verify only a swarm stack's tasks on this node",
        "format": "table, json, junit, sarif, markdown or html",
        "output": "file, instead of standard output",
        "wait": WAIT_HELP,
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
    wait: bool = True,
) -> None:
    """Verify every image, and the running stack, against the contract"""
    from imageproof.commands import verify as commands
    from imageproof.verify.request import parse_request

    request = parse_request(image, only, static=static, deep=deep, stack=stack, platform=platform)
    commands.verify(*load_stack(), request, format, output, wait=wait)


@command(
    "images", positional=["id"], help={"id": "a check, or all (Markdown), or contract (Markdown)"}
)
def explain(_: Context, id: str) -> None:  # noqa: A002  # the word that a user types
    """Explain a check: what must hold, why, the remedy, its reference"""
    from imageproof.report import check_reference

    check_reference.show(id)


@command(
    "images",
    help={
        "image": "only this image of the contract",
        "record": "record the sizes as the baseline for size.growth",
    },
)
def size(_: Context, image: str | None = None, record: bool = False) -> None:
    """Show the size of each layer and its largest files, and changes since the baseline"""
    from imageproof.commands import size as commands

    commands.size(*load_project(), image, record=record)


@command(
    "images",
    values={"output": output_folder},
    help={
        "image": "NAME in the contract, or NAME=REF: print its SBOM to standard output",
        "output": "folder (default: .imageproof/sbom)",
    },
)
def sbom(_: Context, image: str | None = None, output: str | None = None) -> None:
    """Write a software bill of materials for each image (CycloneDX)"""
    from imageproof.commands import sbom as commands

    commands.sbom(*load_project(), image, output)
