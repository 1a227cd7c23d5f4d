"""The bytes of an image as a tree: layer, then package or folder, then file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imageproof.image.package_owners import package_owners
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer, Package

SMALL = 0.001  # of the image: what is smaller is told with its like, so that the page stays small
DEEPEST = 8  # folders within one another that are told apart: how many there are is others' choice
Node = dict[str, Any]


def tree(facts: ImageFacts) -> Node:
    """Layers with what a container sees of them; what a later layer hides stands for itself."""
    floor = max(1, int(facts.size * SMALL))
    owners = package_owners(facts)
    layers = [_layer(facts, layer, owners, floor) for layer in facts.layers]
    return _node("all layers", [layer for layer in layers if layer["bytes"]])


def _layer(facts: ImageFacts, layer: Layer, owners: Mapping[str, Package], floor: int) -> Node:
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
    parts = _parts(groups.pop("", {}), floor)
    parts += [_node(name, _parts(files, floor)) for name, files in groups.items()]
    name = layer.instruction or layer.diff_id[:19]
    return _node(name, _folded(parts, floor, "small packages and files"))


def _parts(files: Mapping[str, int], floor: int, deep: int = 0) -> list[Node]:
    """Files by the folders in which they part."""
    shared = posixpath.commonpath(files) if files else ""
    start = len(shared) + 1 if shared else 0
    folders: dict[str, dict[str, int]] = defaultdict(dict)
    for path, size in files.items():
        folders[path[start:].partition("/")[0]][path] = size
    parts = []
    for inside in folders.values():
        if len(inside) == 1 or deep == DEEPEST:
            parts += [{"name": clean(f"/{path}"), "bytes": size} for path, size in inside.items()]
        else:
            folder = posixpath.commonpath(inside)
            parts.append(_node(f"/{folder}", _parts(inside, floor, deep + 1)))
    return _folded(parts, floor, "small files")


def _folded(parts: list[Node], floor: int, what: str) -> list[Node]:
    """The parts, the largest first; those below the floor as one."""
    large = [part for part in parts if part["bytes"] >= floor]
    small = [part for part in parts if part["bytes"] < floor]
    if len(small) > 1:
        rest = sum(part["bytes"] for part in small)
        small = [{"name": f"{len(small)} {what}", "bytes": rest}]
    return sorted(large + small, key=lambda part: (-part["bytes"], part["name"]))


def _node(name: str, parts: list[Node]) -> Node:
    return {"name": clean(name), "bytes": sum(part["bytes"] for part in parts), "parts": parts}
