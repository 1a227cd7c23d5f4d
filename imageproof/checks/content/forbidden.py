"""content.forbidden: no program, path or package that the contract forbids is in the image."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import finding_at, format_paths
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts


@check(
    "content.forbidden",
    "image",
    title="No program, path or package that the contract forbids is in the image",
    why="A shell or a runtime that the service does not need helps an intruder, and is one more "
    "thing to patch.",
    remedy="Remove it from the stage that brings it, or from `absent` if the image needs it.",
    reference="[tool.imageproof.images.*] absent; "
    "https://github.com/GoogleContainerTools/distroless",
)
def forbidden(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each item of `absent` that is present: a /path/glob, a kind:package or a program."""
    for item in contract.absent:
        kind, colon, name = item.partition(":")
        if item.startswith("/"):
            yield from _paths(item, facts)
        elif colon:
            yield from _packages(item, kind, name, facts)
        else:
            yield from _program(item, facts)


def _paths(glob: str, facts: ImageFacts) -> Iterator[Finding]:
    layers = {
        path: layer
        for path, (file, layer) in facts.files.items()
        if _matches(f"/{path}", file, glob)
    }
    if layers:
        first = min(layers)
        yield finding_at(first, layers[first], f"{format_paths(layers)} is in the image")


def _matches(path: str, file: File, glob: str) -> bool:
    """Return whether a file matches the glob or lies in a folder that matches it."""
    glob = glob.rstrip("/")
    return file.kind != "folder" and (fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}/*"))


def _packages(item: str, kind: str, name: str, facts: ImageFacts) -> Iterator[Finding]:
    for package, layer in facts.packages:
        if package.kind == kind and normal_name(package.name) == normal_name(name):
            yield finding_at(package.record, layer, f"{item} is in the image")


def _program(name: str, facts: ImageFacts) -> Iterator[Finding]:
    if name in facts.programs:
        file, layer = facts.programs[name]
        if facts.resolves(file.path):
            yield finding_at(file.path, layer, f"{name} is in the image")
