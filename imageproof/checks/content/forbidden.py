"""What is in an image that should not be, and what is not there though it should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check, named
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

# Compilers, linkers and build drivers, with a target in front or a version behind.
_TOOLCHAIN = re.compile(
    r"^(?:[\w.]+-linux-[\w.]+-)?"
    r"(?:gcc|g\+\+|cc|c\+\+|cpp|clang(?:\+\+)?|ld|ld\.(?:bfd|gold|lld)|as|ar|ranlib|make|gmake|cmake"
    r"|ninja|meson|autoconf|automake|libtool|rustc|cargo|javac|gfortran|nasm|yasm|node-gyp"
    r"|dpkg-buildpackage|cc1|cc1plus|collect2)"
    r"(?:-\d+(?:\.\d+)*)?$"
)


@check(
    "content.toolchain",
    "image",
    title="No compiler, linker or build tool is in the image",
    why="A build toolchain costs a hundred megabytes, and gives an intruder a workshop.",
    remedy="Build in the `builder` stage, and copy only what runs into `runtime`.",
    reference="https://docs.docker.com/build/building/multi-stage/",
)
def toolchain(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for every executable of a toolchain, wherever it lies."""
    for path, (file, layer) in sorted(facts.files.items()):
        if file.executable and _TOOLCHAIN.match(file.name) and "share/" not in path:
            yield Finding(
                f"{file.name} is in the image",
                file=f"/{path}",
                layer=layer.diff_id,
                instruction=layer.instruction,
            )


def _present(what: str, file: File, layer: Layer) -> Finding:
    return Finding(
        f"{what} is in the image",
        file=f"/{file.path}",
        layer=layer.diff_id,
        instruction=layer.instruction,
    )


@check(
    "content.required",
    "image",
    title="What the contract requires is there",
    why="A licence, a certificate bundle or a data file that a build lost is missed on the day "
    "that somebody needs it.",
    remedy="COPY it in the Dockerfile, or take it out of `required`.",
    reference="[tool.imageproof.images.*] required",
)
def required(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each path or glob of `required` that nothing matches, or that leads nowhere."""
    for wanted in terms.required:
        glob = wanted.strip("/")
        if not any(fnmatchcase(path, glob) and facts.leads(path) for path in facts.files):
            yield Finding(f"{wanted} is not in the image", bound=wanted)


@check(
    "content.forbidden",
    "image",
    title="Nothing is there that the contract forbids",
    why="A shell or a second language's runtime that nothing needs is a tool for whoever gets in, "
    "and one more thing to patch.",
    remedy="Remove it from the stage that brings it, or from `absent` if the image does need it.",
    reference="[tool.imageproof.images.*] absent; https://github.com/GoogleContainerTools/distroless",
)
def forbidden(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each program, path or package of `absent` that is there."""
    programs = facts.programs()
    for item in terms.absent:
        kind, colon, name = item.partition(":")
        if item.startswith("/"):
            if found := {p: e for p, e in facts.files.items() if _matches(f"/{p}", e[0], item)}:
                file, layer = found[min(found)]
                yield _present(named(found), file, layer)
        elif colon:
            for package, layer in facts.packages:
                if package.kind == kind and normal_name(package.name) == normal_name(name):
                    yield _present(item, facts.files[package.record][0], layer)
        elif item in programs and facts.leads(programs[item][0].path):
            yield _present(item, *programs[item])


def _matches(path: str, file: File, glob: str) -> bool:
    """Whether a file is one that a glob forbids, or lies in a folder that it forbids."""
    glob = glob.rstrip("/")
    return file.kind != "folder" and (fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}/*"))
