"""What two builds without cache gave, and where the secrets that they were given are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A layer of the second build that is not the first one's, and the paths that differ in it."""

    instruction: str
    paths: tuple[str, ...]  # nothing: the same files in another order


@dataclass(frozen=True)
class Leak:
    """A secret of the build that is found where it must not be."""

    secret: str  # its id in the compose file
    place: str  # "layer", "configuration", "build cache"
    form: str  # "plain", "base64", "hex"
    file: str = ""
    instruction: str = ""


@dataclass(frozen=True)
class BuildFacts:
    """Of one image. `unknown` says why nothing could be built or looked at."""

    unknown: str = ""
    layers: int = 0
    differences: tuple[Difference, ...] = ()
    secrets: tuple[str, ...] = ()  # ids of the secrets that the builds were given
    leaks: tuple[Leak, ...] = ()
    searched: tuple[str, ...] = ()  # "layers", "configuration", "build cache"
