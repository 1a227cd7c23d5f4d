"""The code of an image: is it compiled, and did its tests come with it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check, named

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

Entry = tuple["File", "Layer"]

# Folders of other people's code; what follows is the path in them.
_LIBRARIES = re.compile(
    r"^(?P<folder>.*?(?:site-packages|dist-packages|node_modules))/(?P<rest>.+)$"
)
_STDLIB = re.compile(r"^.*?lib/python3\.\d+/")
_TEST_FILE = re.compile(
    r"^(?:conftest\.py|test_[^/]*\.py|[^/]+_test\.py|[^/]+\.(?:test|spec)\.[cm]?[jt]sx?)$"
)
_PLURAL = re.compile(r"^(?P<root>(?:.*?/)?(?:tests|__tests__))/")
_SINGULAR = re.compile(r"^(?P<root>(?:.*?/)?test)/(?P<name>.+)$")
WORTH = 100_000  # bytes of a package's tests from which on pruning is worth a line in a build
_INTERPRETER = re.compile(r"(?:^|/)bin/python3\.(\d+)$")
_MODULE = re.compile(r"^[A-Za-z_]\w*$")


@check(
    "content.tests",
    "image",
    title="No tests are in the image",
    why="Tests never run there; they bring bytes, sample keys and sample exploits.",
    remedy="COPY the code without its tests (.dockerignore), and prune what packages bring of "
    "theirs.",
    reference="https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def tests(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for tests of the program itself; warn of those of packages, from 100 kB on."""
    own: dict[str, dict[str, Entry]] = defaultdict(dict)
    theirs: dict[str, dict[str, Entry]] = defaultdict(dict)
    home = _home(terms, facts)
    suites = _suites(facts)
    for path, entry in facts.files.items():
        if entry[0].kind == "folder":
            continue
        if library := _LIBRARIES.match(path):
            if root := _root(path, library["rest"], suites):
                theirs[root][path] = entry
        elif home and path.startswith(home):
            rest = path.removeprefix(home)
            if root := _root(path, rest, suites) or _file(path):
                own[root][path] = entry
    for root, files in sorted(own.items()):
        yield _finding(root, files, warning=False)
    for root, files in sorted(theirs.items()):
        if sum(file.size for file, _ in files.values()) >= WORTH:
            yield _finding(root, files, warning=True)


def _finding(root: str, files: dict[str, Entry], *, warning: bool) -> Finding:
    size = sum(file.size for file, _ in files.values())
    layer = files[min(files)][1]
    return Finding(
        f"/{root}: tests, {size / 1000:,.1f} kB",
        file=f"/{root}",
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=size,
        warning=warning,
    )


def _home(terms: ServiceContract, facts: ImageFacts) -> str:
    """The program's own folder; nothing where it is the root, since that is everybody's."""
    folder = (terms.workdir or facts.workdir).strip("/")
    return f"{folder}/" if folder else ""


def _suites(facts: ImageFacts) -> set[str]:
    """Folders that are called `test` and hold tests: django.test is for other people's."""
    found = set()
    for path in facts.files:
        match = _SINGULAR.match(path)
        if match and _TEST_FILE.match(path.rpartition("/")[2]):
            found.add(match["root"])
    return found


def _root(path: str, rest: str, suites: set[str]) -> str | None:
    """The folder of tests that a path lies in; `rest` begins behind the name of its library."""
    before = path[: -len(rest)]
    if match := _PLURAL.match(rest):
        return before + str(match["root"])
    match = _SINGULAR.match(rest)
    root = before + str(match["root"]) if match else None
    return root if root in suites else None


def _file(path: str) -> str | None:
    return path if _TEST_FILE.match(path.rpartition("/")[2]) else None


@check(
    "content.bytecode",
    "image",
    title="Python is compiled, or is not, as the contract says",
    why="Where bytecode is missing each start compiles again, for half a second and more, and on a "
    "read-only root it is never kept; where it is not wanted it is a third of the bytes.",
    remedy="`python -m compileall --invalidation-mode checked-hash` in the last step that brings "
    "code; or PYTHONDONTWRITEBYTECODE=1 in the builder.",
    reference="https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation",
)
def bytecode(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail, with "all", for a module that the image's Python finds no bytecode of; with "none",
    for any bytecode."""
    if terms.bytecode == "any":
        return
    if terms.bytecode == "none":
        found = {p: e for p, e in facts.files.items() if p.endswith(".pyc")}
        yield from _by_layer(found, "compiled Python")
        return
    tags = {f"cpython-3{m[1]}" for path in facts.files if (m := _INTERPRETER.search(path))}
    home = _home(terms, facts)
    found = {
        path: entry
        for path, entry in facts.files.items()
        if entry[0].kind in ("file", "hardlink") and _is_module(path, home)
        if not _compiled(path, tags, facts)
    }
    yield from _by_layer(found, "not compiled")


def _is_module(path: str, home: str) -> bool:
    """Whether Python can import a file: below a folder of packages, of the standard library or of
    the program, and each name on the way is one of Python's."""
    if not path.endswith(".py"):
        return False
    for place in (_LIBRARIES, _STDLIB):
        if match := place.match(path):
            rest = match["rest"] if place is _LIBRARIES else path[match.end() :]
            break
    else:
        if not home or not path.startswith(home):
            return False
        rest = path.removeprefix(home)
    names = rest.removesuffix(".py").split("/")
    if {"node_modules", "test", "tests"} & {*path.split("/")}:
        return False  # programs of node-gyp; samples that no Python compiles
    return all(map(_MODULE.match, names))


def _compiled(path: str, tags: set[str], facts: ImageFacts) -> bool:
    """Whether the bytecode lies beside it, for each Python of the image that might load it."""
    folder, _, name = path.rpartition("/")
    stem = f"{folder}/__pycache__/{name.removesuffix('.py')}"
    version = re.search(r"lib/python3\.(\d+)/", path)
    wanted = {f"cpython-3{version[1]}"} if version else tags
    if not wanted:
        return any(p.startswith(f"{stem}.") for p in facts.files)
    return any(f"{stem}.{tag}.pyc" in facts.files for tag in wanted)


def _by_layer(found: dict[str, Entry], what: str) -> Iterator[Finding]:
    layers: dict[str, list[str]] = defaultdict(list)
    for path, (_, layer) in found.items():
        layers[layer.diff_id].append(path)
    for paths in layers.values():
        layer = found[paths[0]][1]
        yield Finding(
            f"{what}: {named(paths)}",
            file=f"/{min(paths)}",
            layer=layer.diff_id,
            instruction=layer.instruction,
            measured=len(paths),
        )
