"""content.toolchain: no compiler, linker or build tool is in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import finding_at

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

# An optional target, the program, an optional version: x86_64-linux-gnu-gcc-12.
_PROGRAMS = re.compile(
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
    why="A toolchain takes a hundred megabytes, and lets an intruder build exploits.",
    remedy="Build in the `builder` stage, and copy only the result into `runtime`.",
    reference="https://docs.docker.com/build/building/multi-stage/",
)
def toolchain(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each executable of a toolchain, in any folder."""
    for path, (file, layer) in sorted(facts.files.items()):
        # share/ holds documentation and shell completions, no programs.
        if file.executable and _PROGRAMS.match(file.name) and "share/" not in path:
            yield finding_at(path, layer, f"{file.name} is in the image")
