"""What the compose files in use change in the contract's compose file, by key and without values.

The static checks judge the contract's file only, so `up` and `verify` name these changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imageproof.docker.compose_files import short_name

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_DEPTH = 3  # section, service, key: an item of the key is named too, such as a variable


def describe_overrides(contract: Contract, engine: Engine) -> list[str]:
    """Return for each compose file in use what it changes, as one line.

    Raises:
        ConfigurationError: Compose rejects the files.
    """
    files = engine.compose_files
    if files == (contract.compose_file,):
        return []
    if files[0] != contract.compose_file:
        names = ", ".join(short_name(contract, file) for file in files)
        own = engine.with_compose_file(contract.compose_file)
        change = _describe(_model(own), _model(engine))
        return [f"{names} in place of {contract.compose}: {change}"] if change else []
    steps = [replace(engine, compose_files=files[: count + 1]) for count in range(len(files))]
    models = [_model(step) for step in steps]
    return [
        f"{short_name(contract, files[count])} {change}"
        for count in range(1, len(files))
        if (change := _describe(models[count - 1], models[count]))
    ]


def _model(engine: Engine) -> dict[str, Any]:
    return engine.compose_model(interpolate=True)


def _describe(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the changes, such as `adds: api.volumes; removes: api.user`."""
    paths: dict[str, list[str]] = {"adds": [], "changes": [], "removes": []}
    for section in _SECTIONS:
        prefix = "" if section == "services" else f"{section}."
        old, new = before.get(section) or {}, after.get(section) or {}
        for verb, path in _changes(old, new, _DEPTH):
            paths[verb].append(prefix + path)
    return "; ".join(f"{verb}: {', '.join(names)}" for verb, names in paths.items() if names)


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], depth: int
) -> Iterator[tuple[str, str]]:
    """Yield each key that differs, as a verb and a path; tables are entered up to `depth`."""
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new and (key in before) == (key in after):
            continue
        is_service = depth == _DEPTH and (key not in before or key not in after)
        if depth > 1 and not is_service and isinstance(new or old, Mapping):
            inner = _changes(_table(old), _table(new), depth - 1)
            yield from ((verb, f"{key}.{path}") for verb, path in inner)
        elif key not in before:
            yield "adds", key
        elif key not in after:
            yield "removes", key
        else:
            yield "changes", key


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
