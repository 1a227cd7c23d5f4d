"""Owners of an image's files: the package that installed each file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from imageproof.image.facts import ImageFacts, Package
from imageproof.image.packages import SYSTEM_KINDS

PackageKey = tuple[str, str]  # kind and name


def package_owners(facts: ImageFacts) -> dict[str, Package]:
    """Return the package of each visible file that has one.

    A file in nested package folders belongs to the innermost package. Bytecode belongs to the
    package of its module.
    """
    by_path: dict[str, Package] = {}
    by_folder: dict[str, Package] = {}
    system_files = _system_files(facts)
    for package, _ in facts.packages:
        is_system = package.kind in SYSTEM_KINDS
        # Only once: a hostile record may repeat a package.
        for path in system_files.pop(_identity(package), ()) if is_system else package.owns:
            if path.endswith("/"):
                by_folder[path[:-1]] = package
            else:
                by_path.setdefault(_follow_folder(facts, path), package)
    owners = {}
    for path, (file, _) in facts.files.items():
        if file.kind == "folder":
            continue
        owner = by_path.get(path) or by_path.get(_module_of(path)) or _enclosing(by_folder, path)
        if owner:
            owners[path] = owner
    return owners


def _identity(package: Package) -> tuple[str, str, str]:
    return package.kind, package.name, package.version


def _system_files(facts: ImageFacts) -> dict[tuple[str, str, str], list[str]]:
    """Return the files of each system package, from all layers.

    A later layer repeats dpkg's status without its file lists.
    """
    files: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for layer in facts.layers:
        for package in layer.packages:
            if package.kind in SYSTEM_KINDS:
                files[_identity(package)] += package.owns
    return files


def _follow_folder(facts: ImageFacts, path: str) -> str:
    """Follow the link of a merged /usr: dpkg lists bin/sh, and bin is a link to usr/bin."""
    if path not in facts.files:
        folder, _, rest = path.partition("/")
        entry = facts.files.get(folder)
        if entry and entry.file.kind == "link":
            return f"{entry.file.target.strip('/')}/{rest}"
    return path


def _module_of(path: str) -> str:
    """Return the Python module of a bytecode file (PEP 3147); "" for other files."""
    folder, _, name = path.rpartition("/")
    if not name.endswith(".pyc") or not folder.endswith("__pycache__"):
        return ""
    return f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"


def _enclosing(by_folder: Mapping[str, Package], path: str) -> Package | None:
    """Return the package that owns the nearest folder above a path."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in by_folder:
            return by_folder[folder]
    return None


def owned_bytes(facts: ImageFacts) -> dict[PackageKey, int]:
    """Return the bytes of visible files by package."""
    sizes: dict[PackageKey, int] = defaultdict(int)
    for path, package in package_owners(facts).items():
        sizes[(package.kind, package.name)] += facts.files[path].file.size
    return dict(sizes)
