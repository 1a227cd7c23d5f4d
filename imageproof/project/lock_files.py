"""Lock files of Python and npm packages: the versions that they pin."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from imageproof.errors import ContractError

READING = "reading the contract"
_PINNED = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?P<version>[^\s;\\]+)\s*(?P<marker>;)?"
)


def normal_name(name: str) -> str:
    """Return a Python package's name as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_text(path: Path, place: str) -> str:
    """Return a lock file's text. Raises ContractError, with its key in the contract."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "`./inv lock` makes the lock files"
        raise ContractError(
            READING, f"{place}: {path} cannot be read: {error}", hint=hint
        ) from error


def read_lock(text: str, place: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """The pinned packages of a requirements file (pip's format): name to versions; and the names
    that are pinned under a condition only. Raises ContractError for a file of another form."""
    found: dict[str, set[str]] = defaultdict(set)
    always = set()
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#-"]
    for match in filter(None, map(_PINNED.match, lines)):
        name = normal_name(match["name"])
        found[name].add(match["version"])
        if not match["marker"]:
            always.add(name)
    if lines and not found:
        raise ContractError(READING, f"{place}: it pins no package by `name==version`")
    versions = {name: tuple(sorted(pinned)) for name, pinned in found.items()}
    return versions, frozenset(found.keys() - always)


def read_npm_lock(text: str, place: str) -> dict[str, tuple[str, ...]]:
    """The packages of a package-lock.json (version 2 or 3): name to its versions.

    Raises ContractError for a file of another form.
    """
    found: dict[str, set[str]] = defaultdict(set)
    try:
        for folder, package in json.loads(text)["packages"].items():
            if folder and "version" in package:
                name = package.get("name") or folder.rpartition("node_modules/")[2]
                found[name].add(str(package["version"]))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ContractError(READING, f"{place}: it is no package-lock.json: {error}") from error
    return {name: tuple(sorted(versions)) for name, versions in found.items()}
