"""content.bytecode: Python modules are compiled, or not, as the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.modules import LIBRARY, program_folder
from imageproof.checks.files import findings_by_layer

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

_STDLIB = re.compile(r"^.*?lib/python3\.\d+/(?P<rest>.+)$")
_INTERPRETER = re.compile(r"(?:^|/)bin/python3\.(\d+)$")
_IDENTIFIER = re.compile(r"^[A-Za-z_]\w*$")


@check(
    "content.bytecode",
    "image",
    title="Python modules are compiled, or not, as the contract says",
    why="Without bytecode every start compiles again, for half a second or more, and a read-only "
    "root never stores the result. An image that does not need bytecode is a third smaller.",
    remedy="Run `python -m compileall --invalidation-mode checked-hash` in the last step that adds "
    "code, or set PYTHONDONTWRITEBYTECODE=1 in the builder.",
    reference="https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation",
)
def bytecode(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail, with `bytecode = "all"`, for an uncompiled module; with "none", for any bytecode."""
    if contract.bytecode == "none":
        compiled = {p: e for p, e in facts.files.items() if p.endswith(".pyc")}
        yield from findings_by_layer(compiled, "compiled, expected none")
    elif contract.bytecode == "all":
        tags = {f"cpython-3{m[1]}" for path in facts.files if (m := _INTERPRETER.search(path))}
        program = program_folder(contract, facts)
        uncompiled = {
            path: entry
            for path, entry in facts.files.items()
            if entry[0].kind in ("file", "hardlink")
            and _is_module(path, program)
            and not _is_compiled(path, tags, facts)
        }
        yield from findings_by_layer(uncompiled, "not compiled, expected all")


def _is_module(path: str, program: str) -> bool:
    """Return whether Python can import a file.

    It is in a folder of packages, of the standard library or of the program, and each part of its
    path there is a Python identifier.
    """
    # Programs of node-gyp, and samples that no Python can compile.
    if not path.endswith(".py") or {"node_modules", "test", "tests"} & {*path.split("/")}:
        return False
    if match := LIBRARY.match(path) or _STDLIB.match(path):
        module = match["rest"]
    elif program and path.startswith(program):
        module = path.removeprefix(program)
    else:
        return False
    return all(map(_IDENTIFIER.match, module.removesuffix(".py").split("/")))


def _is_compiled(path: str, tags: set[str], facts: ImageFacts) -> bool:
    """Return whether a Python of the image that can load the module finds its bytecode."""
    folder, _, name = path.rpartition("/")
    stem = f"{folder}/__pycache__/{name.removesuffix('.py')}"
    version = re.search(r"lib/python3\.(\d+)/", path)
    loaders = {f"cpython-3{version[1]}"} if version else tags
    if not loaders:
        return any(p.startswith(f"{stem}.") for p in facts.files)
    return any(f"{stem}.{tag}.pyc" in facts.files for tag in loaders)
