"""Owners of an image's files: which package brought each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from imageproof.image.facts import ImageFacts, Package
from imageproof.image.packages import SYSTEM

Key = tuple[str, str]  # kind and name


def package_owners(facts: ImageFacts) -> dict[str, Package]:
    """Return the package that owns each visible file; unowned files are left out.

    The nearest claim wins: a package inside another's folder owns its own files. The owner of a
    Python file owns its compiled form.
    """
    exact: dict[str, Package] = {}
    folders: dict[str, Package] = {}
    listed = _listed(facts)
    for package, _ in facts.packages:
        claims = listed[_key(package)] if package.kind in SYSTEM else package.owns
        for path in claims:
            if path.endswith("/"):
                folders[path[:-1]] = package
            else:
                exact.setdefault(_real(facts, path), package)
    found = {}
    for path, (file, _) in facts.files.items():
        if file.kind == "folder":
            continue
        owner = exact.get(path) or exact.get(_source(path)) or _within(folders, path)
        if owner:
            found[path] = owner
    return found


def _key(package: Package) -> tuple[str, str, str]:
    return package.kind, package.name, package.version


def _listed(facts: ImageFacts) -> dict[tuple[str, str, str], list[str]]:
    """What each system package owns, by all layers: a later one repeats dpkg's status, and not its
    lists."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for layer in facts.layers:
        for package in layer.packages:
            if package.kind in SYSTEM:
                found[_key(package)] += package.owns
    return found


def _real(facts: ImageFacts, path: str) -> str:
    """A path behind the links of a merged /usr: dpkg still says bin/sh for usr/bin/sh."""
    if path not in facts.files:
        first, _, rest = path.partition("/")
        entry = facts.files.get(first)
        if entry and entry[0].kind == "link":
            return f"{entry[0].target.strip('/')}/{rest}"
    return path


def _source(path: str) -> str:
    """The Python file that a compiled one was made of (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    if not name.endswith(".pyc") or not folder.endswith("__pycache__"):
        return ""
    return f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"


def _within(folders: Mapping[str, Package], path: str) -> Package | None:
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return folders[path]
    return None


def owned_bytes(facts: ImageFacts) -> dict[Key, int]:
    """Bytes of visible files by the package that owns them."""
    found: dict[Key, int] = defaultdict(int)
    for path, package in package_owners(facts).items():
        found[(package.kind, package.name)] += facts.files[path][0].size
    return dict(found)
