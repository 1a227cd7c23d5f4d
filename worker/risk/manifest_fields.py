"""Readers for fields of package.json. They accept values of any shape."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
"""Scripts that npm runs on each installation of the package, also as a dependency."""

_WORD_SEPARATORS = re.compile(r"[\s\"'`()=;&|<>]+")


def nested_strings(value: object, skip: re.Pattern[str] | None = None) -> Iterator[str]:
    """Yield all strings in a nested field such as `exports`, without those under keys like `skip`.

    It does not recurse: an attacker could nest an entry deeper than any limit.
    """
    pending = [value]
    while pending:
        inner = pending.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, Mapping):
            kept = [inner[key] for key in inner if not (skip and skip.fullmatch(str(key)))]
            pending += reversed(kept)
        elif isinstance(inner, list | tuple):
            pending += reversed(inner)


def string_map(manifest: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return a field that maps names to strings, such as `scripts`, without other values."""
    value = manifest.get(key)
    if not isinstance(value, Mapping):
        return {}
    return {str(name): text for name, text in value.items() if isinstance(text, str)}


def install_scripts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the scripts that an installation runs."""
    scripts = string_map(manifest, "scripts")
    return {name: scripts[name] for name in INSTALL_SCRIPTS if scripts.get(name)}


def paths_in(text: str) -> frozenset[str]:
    """Return the words of a command or entry point that may be paths in the package."""
    words = _WORD_SEPARATORS.split(text)
    return frozenset(word.removeprefix("./").rstrip("/") for word in words if word.strip("./"))
