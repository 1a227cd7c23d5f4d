"""The bytes of an image as a tree: layer, then package or folder, then file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ops.report.text import clean

if TYPE_CHECKING:
    from ops.facts.image import ImageFacts, Layer

SMALL = 0.002  # of the image: what is smaller is told with its like, so that the page stays small
Node = dict[str, Any]


def tree(facts: ImageFacts) -> Node:
    """Layers with what a container sees of them; what a later layer hides stands for itself."""
    floor = max(1, int(facts.size * SMALL))
    layers = [_layer(facts, layer, floor) for layer in facts.layers]
    return _node("all layers", [layer for layer in layers if layer["bytes"]], 0)


def _layer(facts: ImageFacts, layer: Layer, floor: int) -> Node:
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for file in layer.files:
        if file.kind != "file" or not file.size:
            continue
        if facts.files.get(file.path, (None, None))[1] is not layer:
            group = "hidden by a later layer"
        elif package := facts.owners.get(file.path):
            group = f"{package.name} ({package.kind})"
        else:
            group = "/" + "/".join(file.path.split("/")[:2][: max(1, file.path.count("/"))])
        groups[group][f"/{file.path}"] = file.size
    parts = [_group(name, files, floor) for name, files in groups.items()]
    return _node(
        layer.instruction or layer.diff_id[:19], _folded(parts, floor, "small packages"), 0
    )


def _group(name: str, files: Mapping[str, int], floor: int) -> Node:
    leaves = [{"name": clean(path), "bytes": size} for path, size in files.items()]
    return _node(name, _folded(leaves, floor, "small files"), 0)


def _folded(parts: list[Node], floor: int, what: str) -> list[Node]:
    """The parts, the largest first; those below the floor as one."""
    large = sorted(
        (p for p in parts if p["bytes"] >= floor), key=lambda p: (-p["bytes"], p["name"])
    )
    small = [part for part in parts if part["bytes"] < floor]
    rest = sum(part["bytes"] for part in small)
    return [*large, {"name": f"{len(small)} {what}", "bytes": rest}] if rest else large


def _node(name: str, parts: list[Node], own: int) -> Node:
    return {"name": clean(name), "bytes": own + sum(p["bytes"] for p in parts), "parts": parts}
