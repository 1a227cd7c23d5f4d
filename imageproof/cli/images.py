"""Commands about images: build, lint, verify, explain, size, sbom."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


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
    from imageproof.commands import build as commands

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
    commands.build(*load_project(), image, options)


@command("images")
def lint(_: Context) -> None:
    """Read every source without running it: Dockerfiles, compose, Python, workflow"""
    from imageproof.commands import lint as commands

    commands.lint(*load_project())


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
    from imageproof.commands import verify as commands
    from imageproof.verify.run import parse_request

    request = parse_request(image, only, static=static, deep=deep, stack=stack, platform=platform)
    commands.verify(*load_project(), request, format, output)


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
    from imageproof.commands import size as commands

    commands.size(*load_project(), image, record=record)


@command(
    "images",
    help={
        "image": "NAME of the contract, or NAME=REF: that alone, on standard output",
        "output": "a folder; without it .imageproof/sbom",
    },
)
def sbom(_: Context, image: str | None = None, output: str | None = None) -> None:
    """A software bill of materials for each image (CycloneDX)"""
    from imageproof.commands import sbom as commands

    commands.sbom(*load_project(), image, output)
