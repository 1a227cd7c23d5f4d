"""Owners of an image's files: the package that installed each file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from imageproof.image.facts import ImageFacts, Package
from imageproof.image.packages import SYSTEM_KINDS

Key = tuple[str, str]  # kind and name


def package_owners(facts: ImageFacts) -> dict[str, Package]:
    """Return the package of each visible file that has one.

    A package inside another's folder owns its own files. The owner of a Python module owns its
    bytecode.
    """
    exact: dict[str, Package] = {}
    folders: dict[str, Package] = {}
    listed = _system_files(facts)
    for package, _ in facts.packages:
        claims = listed[_identity(package)] if package.kind in SYSTEM_KINDS else package.owns
        for path in claims:
            if path.endswith("/"):
                folders[path[:-1]] = package
            else:
                exact.setdefault(_follow(facts, path), package)
    owners = {}
    for path, (file, _) in facts.files.items():
        if file.kind == "folder":
            continue
        owner = exact.get(path) or exact.get(_module_of(path)) or _enclosing(folders, path)
        if owner:
            owners[path] = owner
    return owners


def _identity(package: Package) -> tuple[str, str, str]:
    return package.kind, package.name, package.version


def _system_files(facts: ImageFacts) -> dict[tuple[str, str, str], list[str]]:
    """Return the files of each system package, from all layers: a later layer repeats dpkg's status
    without its file lists."""
    files: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for layer in facts.layers:
        for package in layer.packages:
            if package.kind in SYSTEM_KINDS:
                files[_identity(package)] += package.owns
    return files


def _follow(facts: ImageFacts, path: str) -> str:
    """Follow the links of a merged /usr: dpkg still lists bin/sh for usr/bin/sh."""
    if path not in facts.files:
        first, _, rest = path.partition("/")
        entry = facts.files.get(first)
        if entry and entry[0].kind == "link":
            return f"{entry[0].target.strip('/')}/{rest}"
    return path


def _module_of(path: str) -> str:
    """Return the Python module of a bytecode file (PEP 3147); "" for other files."""
    folder, _, name = path.rpartition("/")
    if not name.endswith(".pyc") or not folder.endswith("__pycache__"):
        return ""
    return f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"


def _enclosing(folders: Mapping[str, Package], path: str) -> Package | None:
    """Return the package that owns the nearest folder above a path."""
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return folders[path]
    return None


def owned_bytes(facts: ImageFacts) -> dict[Key, int]:
    """Return the bytes of visible files by package."""
    sizes: dict[Key, int] = defaultdict(int)
    for path, package in package_owners(facts).items():
        sizes[(package.kind, package.name)] += facts.files[path][0].size
    return dict(sizes)
