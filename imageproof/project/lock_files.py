"""Lock files: the versions of Python and npm packages that they pin."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from imageproof.documents import MAX_LOCK_BYTES, parse_json, read_text
from imageproof.errors import ContractError

_ACTION = "reading the contract"
# A pinned package: name, extras in brackets, == or ===, version, marker after a semicolon.
_PINNED = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?P<version>[^\s;\\]+)\s*(?P<marker>;)?"
)


def normal_name(name: str) -> str:
    """Return a Python package's name, normalized (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock_text(path: Path, key: str) -> str:
    """Return a lock file's text.

    Args:
        path: The lock file.
        key: Key of the contract that names the file, for errors.

    Raises:
        ContractError: The file cannot be read.
    """
    try:
        return read_text(path, MAX_LOCK_BYTES)
    except (OSError, ValueError) as error:
        cause = f"{key}: {path} cannot be read: {error}"
        raise ContractError(_ACTION, cause, hint="write it with `./inv lock`") from error


def parse_python_lock(text: str, key: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """Parse a requirements file (pip's format).

    Returns:
        The versions of each pinned package, and the packages that are pinned only under a
        condition (PEP 508 marker).

    Raises:
        ContractError: The file has another format; the message begins with `key`.
    """
    pinned: dict[str, set[str]] = defaultdict(set)
    unconditional = set()
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#-"]
    for match in filter(None, map(_PINNED.match, lines)):
        name = normal_name(match["name"])
        pinned[name].add(match["version"])
        if not match["marker"]:
            unconditional.add(name)
    if lines and not pinned:
        raise ContractError(
            _ACTION,
            f"{key}: it pins no package by `name==version`",
            hint="`./inv lock` writes it again",
        )
    return _sort_versions(pinned), frozenset(pinned.keys() - unconditional)


def parse_npm_lock(text: str, key: str) -> dict[str, tuple[str, ...]]:
    """Return the versions of each package in a package-lock.json (version 2 or 3).

    Raises:
        ContractError: The file has another format; the message begins with `key`.
    """
    pinned: dict[str, set[str]] = defaultdict(set)
    try:
        for folder, package in parse_json(text)["packages"].items():
            if folder and "version" in package:
                name = package.get("name") or folder.rpartition("node_modules/")[2]
                pinned[name].add(str(package["version"]))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ContractError(
            _ACTION,
            f"{key}: invalid package-lock.json: {error}",
            hint="`npm install --package-lock-only` writes it again",
        ) from error
    return _sort_versions(pinned)


def _sort_versions(pinned: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(versions)) for name, versions in pinned.items()}
