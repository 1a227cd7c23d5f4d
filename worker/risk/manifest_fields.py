"""Readers for fields of package.json. They accept values of any shape."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
"""Scripts that npm runs on each installation of the package, also as a dependency."""
MAX_COMMAND_CHARS = 4096  # of a command or entry point; real ones are shorter

_WORD_SEPARATORS = re.compile(r"[\s\"'`()=;&|<>]+")


def nested_strings(value: object, depth: int = 5) -> Iterator[str]:
    """Yield all strings in a nested field such as `exports`."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from nested_strings(inner, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for inner in value:
            yield from nested_strings(inner, depth - 1)


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
    words = _WORD_SEPARATORS.split(text[:MAX_COMMAND_CHARS])
    return frozenset(word.removeprefix("./").rstrip("/") for word in words if word.strip("./"))
