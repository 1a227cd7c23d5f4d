"""What is in an image that should not be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

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
    mend="Build in the `builder` stage, and copy only what runs into `runtime`.",
    reference="https://docs.docker.com/build/building/multi-stage/",
)
def toolchain(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for every executable of a toolchain, wherever it lies."""
    for path, (file, layer) in sorted(facts.files.items()):
        if file.executable and _TOOLCHAIN.match(file.name) and "share/" not in path:
            yield Finding(
                f"{file.name} is in the image",
                file=f"/{path}",
                layer=layer.diff_id,
                instruction=layer.instruction,
            )


@check(
    "content.forbidden",
    "image",
    title="No program is there that the contract forbids",
    why="A shell or a second language's runtime that nothing needs is a tool for whoever gets in, "
    "and one more thing to patch.",
    mend="Remove it from the stage that brings it, or from `absent` if the image does need it.",
    reference="[tool.ops.images.*] absent; https://github.com/GoogleContainerTools/distroless",
)
def forbidden(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each program of `absent` that lies in a folder of programs."""
    programs = facts.programs()
    for name in terms.absent:
        if name in programs:
            file, layer = programs[name]
            yield Finding(
                f"{name} is in the image",
                file=f"/{file.path}",
                layer=layer.diff_id,
                instruction=layer.instruction,
            )
