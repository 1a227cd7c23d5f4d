"""Options of a build: builder, platforms, cache, and where the result goes.

They are buildx's own; this module checks them and turns them into options of `docker buildx bake`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.errors import UsageError
from imageproof.registry.reference import parse_prefix, parse_tag

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

IMAGE = "{image}"  # placeholder for the image's name in the contract
ACTION = "reading the command line"
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?")


@dataclass(frozen=True)
class Options:
    """Options of a build. By default this machine's engine builds, and keeps the result.

    Attributes:
        cache: use the build cache.
        pull: get newer versions of the base images first.
        builder: a buildx builder of any driver.
        platforms: such as linux/amd64.
        cache_from: a cache source as buildx takes it, with {image} for the image's name.
        cache_to: a cache destination, likewise.
        load: load another builder's result into the engine.
        push: HOST/PREFIX of a registry.
        tag: tag to push.
        output: folder for an OCI layout of each image.
    """

    cache: bool = True
    pull: bool = False
    builder: str | None = None
    platforms: tuple[str, ...] = ()
    cache_from: str | None = None
    cache_to: str | None = None
    load: bool = False
    push: str | None = None
    tag: str = ""
    output: Path | None = None

    @property
    def engine_gets_result(self) -> bool:
        """Whether the engine has the images after the build."""
        return self.load or not (self.builder or self.push or self.output)

    def reference(self, name: str, tag: str) -> str | None:
        """Return where an image is after the build, None if it stays in the builder.

        Args:
            name: its name in the contract.
            tag: its tag in the engine.
        """
        if self.push:
            return f"docker://{self.push}/{name}:{self.tag}"
        if self.output:
            return str(self.output / name)
        return tag if self.engine_gets_result else None


def parse_options(
    *,
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
) -> Options:
    """Return the options of the command line.

    Raises:
        UsageError: an option is malformed, or two contradict each other.
    """
    if sum(map(bool, (load, push, output))) > 1:
        raise UsageError(
            ACTION,
            "--load, --push and --output exclude each other",
            hint="choose one; a pushed image can be promoted later",
        )
    if tag and not push:
        raise UsageError(ACTION, "--tag needs --push", hint="add --push HOST/PREFIX")
    return Options(
        cache=cache,
        pull=pull,
        builder=builder,
        platforms=parse_platforms(platform) if platform else (),
        cache_from=cache_from,
        cache_to=cache_to,
        load=load,
        push=parse_prefix(push) if push else None,
        tag=parse_tag(tag) if tag else "",
        output=Path(output).absolute() if output else None,
    )


def parse_platforms(text: str) -> tuple[str, ...]:
    """Return platforms that are separated by commas. Raises UsageError if one is malformed."""
    platforms = tuple(text.split(","))
    for name in platforms:
        if not _PLATFORM.fullmatch(name):
            raise UsageError(
                ACTION, f"invalid platform {name!r}", hint="for example linux/amd64,linux/arm64"
            )
    return platforms


def apply_context(engine: Engine, options: Options) -> tuple[Engine, Options]:
    """If `options.builder` names a docker context, select that engine instead of a builder.

    buildx refuses a context as `--builder`, and advises `docker --context`.

    Returns:
        The engine to use, and the options to use with it.
    """
    if options.builder and engine.has_context(options.builder):
        return replace(engine, context=options.builder), replace(options, builder=None)
    return engine, options


def bake_options(
    options: Options, services: Mapping[str, str], *, can_pull: bool = True
) -> list[str]:
    """Return the options of `docker buildx bake`.

    Args:
        options: the build's options.
        services: the compose service of each image, by the image's name in the contract.
        can_pull: whether a registry has the base image; if not, buildx could not pull it.

    Raises:
        UsageError: several images would write to the same cache.
    """
    if options.cache_to and IMAGE not in options.cache_to and len(services) > 1:
        raise UsageError(
            ACTION,
            "each image would overwrite the cache of the others",
            hint=f"put {IMAGE} into --cache-to: type=registry,ref=HOST/cache:{IMAGE},mode=max",
        )
    words = [] if options.cache else ["--no-cache"]
    words += ["--pull"] if options.pull and can_pull else []
    words += ["--builder", options.builder] if options.builder else []
    words += ["--load"] if options.engine_gets_result else []
    words += ["--push"] if options.push else []
    for name, service in services.items():
        settings = {
            "platform": ",".join(options.platforms),
            "cache-from": (options.cache_from or "").replace(IMAGE, name),
            "cache-to": (options.cache_to or "").replace(IMAGE, name),
            "tags": f"{options.push}/{name}:{options.tag}" if options.push else "",
            "output": f"type=oci,dest={options.output / name},tar=false" if options.output else "",
        }
        for key, value in settings.items():
            words += ["--set", f"{service}.{key}={value}"] if value else []
    return words
