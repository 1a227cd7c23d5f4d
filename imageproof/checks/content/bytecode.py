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
_INTERPRETER = re.compile(r"(?:^|/)bin/python3\.(?P<minor>\d+)$")
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
        compiled = {path: entry for path, entry in facts.files.items() if path.endswith(".pyc")}
        yield from findings_by_layer(compiled, "compiled, expected none")
    elif contract.bytecode == "all":
        interpreters = filter(None, map(_INTERPRETER.search, facts.files))
        tags = {f"cpython-3{match['minor']}" for match in interpreters}
        program = program_folder(contract, facts)
        uncompiled = {
            path: entry
            for path, entry in facts.files.items()
            if entry.file.kind in ("file", "hardlink")
            and _is_module(path, program)
            and not _is_compiled(path, tags, facts)
        }
        yield from findings_by_layer(uncompiled, "not compiled, expected all")


def _is_module(path: str, program: str) -> bool:
    """Return whether Python can import a file.

    The file must be in a folder of packages, of the standard library or of the program, and each
    part of its path in that folder must be a Python identifier.
    """
    # node_modules has programs of node-gyp, tests have samples that no Python can compile.
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
    """Return whether a Python that can load the module finds its bytecode.

    Only Python 3.X loads a module in lib/python3.X; each Python of the image loads the others.
    `tags` are the names of all these Pythons in bytecode files, such as `cpython-311`.
    """
    folder, _, name = path.rpartition("/")
    stem = f"{folder}/__pycache__/{name.removesuffix('.py')}"
    version = re.search(r"lib/python3\.(\d+)/", path)
    loaders = {f"cpython-3{version[1]}"} if version else tags
    if not loaders:  # the image has no Python that this check knows
        return any(other.startswith(f"{stem}.") for other in facts.files)
    return any(f"{stem}.{tag}.pyc" in facts.files for tag in loaders)
