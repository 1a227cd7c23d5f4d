"""Who builds, for which platforms, with whose cache, and where the result goes.

All of it is buildx's own. Here it is checked, and put into the words of `docker buildx bake`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.errors import UsageError
from imageproof.registry.reference import parse_prefix, parse_tag

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

IMAGE = "{image}"  # stands for the image's name in the contract
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?")
DOING = "reading the command line"


@dataclass(frozen=True)
class Options:
    """How images are built. Nothing named: by this machine's engine, and into it."""

    cache: bool = True  # steps that are known are not run again
    builder: str | None = None  # of buildx, whatever its driver
    platforms: tuple[str, ...] = ()
    cache_from: str | None = None  # as buildx takes them, with {image} in them
    cache_to: str | None = None
    load: bool = False
    push: str | None = None  # HOST/PREFIX
    tag: str = ""
    output: Path | None = None

    @property
    def is_plain(self) -> bool:
        """Whether what is in the engine now says all of what the last build did."""
        return replace(self, cache=True) == Options()

    @property
    def loads(self) -> bool:
        """Whether the result comes into the engine."""
        return self.load or not (self.builder or self.push or self.output)

    def reference(self, name: str, tag: str) -> str | None:
        """Where the image of that name, and tag in the engine, is afterwards; None: nowhere."""
        if self.push:
            return f"docker://{self.push}/{name}:{self.tag}"
        if self.output:
            return str(self.output / name)
        return tag if self.loads else None


def parse_options(
    *,
    cache: bool = True,
    builder: str | None = None,
    platform: str | None = None,
    cache_from: str | None = None,
    cache_to: str | None = None,
    load: bool = False,
    push: str | None = None,
    tag: str | None = None,
    output: str | None = None,
) -> Options:
    """The options of the command line. Raises UsageError for those that contradict one another."""
    platforms = tuple(platform.split(",")) if platform else ()
    for item in platforms:
        if not _PLATFORM.fullmatch(item):
            raise UsageError(
                DOING, f"{item!r} is no platform", hint="as in linux/amd64,linux/arm64"
            )
    if sum(map(bool, (load, push, output))) > 1:
        hint = "name one of --load, --push and --output: what is pushed can be promoted"
        raise UsageError(DOING, "the result goes to one place", hint=hint)
    if tag and not push:
        raise UsageError(DOING, "--tag is of what is pushed", hint="add --push HOST/PREFIX")
    prefix = parse_prefix(push) if push else None
    folder = Path(output).absolute() if output else None
    return Options(
        cache,
        builder,
        platforms,
        cache_from,
        cache_to,
        load,
        prefix,
        parse_tag(tag) if tag else "",
        folder,
    )


def locate(engine: Engine, options: Options) -> tuple[Engine, Options]:
    """A docker context is another engine, with a builder of its own: to be asked instead.

    buildx refuses it as `--builder`, and says `docker --context` in its place.
    """
    if options.builder and engine.has_context(options.builder):
        return replace(engine, context=options.builder), replace(options, builder=None)
    return engine, options


def bake_arguments(options: Options, services: Mapping[str, str]) -> dict[str, Any]:
    """What bake is told, in python-on-whales' words; `services` by the images' names.

    Raises UsageError where several images would write one cache.
    """
    if options.cache_to and IMAGE not in options.cache_to and len(services) > 1:
        raise UsageError(
            DOING,
            "each image would overwrite the cache of the others",
            hint=f"put {IMAGE} into --cache-to: type=registry,ref=HOST/cache:{IMAGE},mode=max",
        )
    settings: dict[str, str] = {}
    for name, service in services.items():
        said = {
            "platform": ",".join(options.platforms),
            "cache-from": (options.cache_from or "").replace(IMAGE, name),
            "cache-to": (options.cache_to or "").replace(IMAGE, name),
            "tags": f"{options.push}/{name}:{options.tag}" if options.push else "",
            "output": f"type=oci,dest={options.output / name},tar=false" if options.output else "",
        }
        settings |= {f"{service}.{key}": value for key, value in said.items() if value}
    return {
        "builder": options.builder,
        "cache": options.cache,
        "load": options.loads,
        "push": bool(options.push),
        "set": settings,
    }
