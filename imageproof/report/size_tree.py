"""Size tree of an image: layer, then package or folder, then file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imageproof.image.package_owners import package_owners
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer, Package

MIN_SHARE = 0.001  # of the image: smaller parts are summed up, so that the page stays small
MAX_DEPTH = 8  # nested folders; deeper files are listed flat
Node = dict[str, Any]


def tree(facts: ImageFacts) -> Node:
    """Return the tree as nodes of `name`, `bytes` and `parts`; a file has no parts.

    Files that a later layer hides have a node of their own.
    """
    min_bytes = max(1, int(facts.size * MIN_SHARE))
    owners = package_owners(facts)
    layers = [_layer(facts, layer, owners, min_bytes) for layer in facts.layers]
    return _node("all layers", [layer for layer in layers if layer["bytes"]])


def _layer(facts: ImageFacts, layer: Layer, owners: Mapping[str, Package], min_bytes: int) -> Node:
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for file in layer.files:
        if file.kind != "file" or not file.size:
            continue
        if facts.files.get(file.path, (None, None))[1] is not layer:
            group = "hidden by a later layer"
        elif package := owners.get(file.path):
            group = f"{package.name} ({package.kind})"
        else:
            group = ""
        groups[group][file.path.strip("/")] = file.size
    parts = _parts(groups.pop("", {}), min_bytes)
    parts += [_node(name, _parts(files, min_bytes)) for name, files in groups.items()]
    name = layer.instruction or layer.diff_id[:19]
    return _node(name, _sum_small(parts, min_bytes, "small packages and files"))


def _parts(files: Mapping[str, int], min_bytes: int, depth: int = 0) -> list[Node]:
    """Return the nodes of files (bytes by path), grouped by the folder below their common one."""
    common = posixpath.commonpath(files) if files else ""
    start = len(common) + 1 if common else 0
    folders: dict[str, dict[str, int]] = defaultdict(dict)
    for path, size in files.items():
        folders[path[start:].partition("/")[0]][path] = size
    parts = []
    for contents in folders.values():
        if len(contents) == 1 or depth == MAX_DEPTH:
            parts += [{"name": clean(f"/{path}"), "bytes": size} for path, size in contents.items()]
        else:
            folder = posixpath.commonpath(contents)
            parts.append(_node(f"/{folder}", _parts(contents, min_bytes, depth + 1)))
    return _sum_small(parts, min_bytes, "small files")


def _sum_small(parts: list[Node], min_bytes: int, label: str) -> list[Node]:
    """Return the parts, largest first, with those below `min_bytes` summed up in one."""
    large = [part for part in parts if part["bytes"] >= min_bytes]
    small = [part for part in parts if part["bytes"] < min_bytes]
    if len(small) > 1:
        total = sum(part["bytes"] for part in small)
        small = [{"name": f"{len(small)} {label}", "bytes": total}]
    return sorted(large + small, key=lambda part: (-part["bytes"], part["name"]))


def _node(name: str, parts: list[Node]) -> Node:
    return {"name": clean(name), "bytes": sum(part["bytes"] for part in parts), "parts": parts}
