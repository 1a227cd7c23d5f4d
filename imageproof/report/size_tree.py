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

MIN_SHARE = 0.001  # of the image's bytes; smaller parts are summed up to keep the page small
MAX_DEPTH = 8  # nested folders; deeper files are listed flat
NO_GROUP = ""  # files that no package owns
Node = dict[str, Any]  # `name`, `bytes` and `parts`; a file has no parts


def tree(facts: ImageFacts) -> Node:
    """Return the size tree of an image; each layer has one node for its hidden files."""
    min_bytes = max(1, int(facts.size * MIN_SHARE))
    owners = package_owners(facts)
    layers = [_layer(facts, layer, owners, min_bytes) for layer in facts.layers]
    return _node("all layers", [layer for layer in layers if layer["bytes"]])


def _layer(facts: ImageFacts, layer: Layer, owners: Mapping[str, Package], min_bytes: int) -> Node:
    groups: dict[str, dict[str, int]] = defaultdict(dict)  # bytes by path, by group
    for file in layer.files:
        if file.kind != "file" or not file.size:
            continue
        entry = facts.files.get(file.path)
        if entry is None or entry[1] is not layer:
            group = "hidden by a later layer"
        elif package := owners.get(file.path):
            group = f"{package.name} ({package.kind})"
        else:
            group = NO_GROUP
        groups[group][file.path.strip("/")] = file.size
    parts = _parts(groups.pop(NO_GROUP, {}), min_bytes)
    parts += [_node(group, _parts(files, min_bytes)) for group, files in groups.items()]
    layer_name = layer.instruction or layer.diff_id[: len("sha256:") + 12]
    return _node(layer_name, _sum_small(parts, min_bytes, "small packages and files"))


def _parts(files: Mapping[str, int], min_bytes: int, depth: int = 0) -> list[Node]:
    """Return the nodes of files (bytes by path), grouped by the next folder of their paths."""
    common = posixpath.commonpath(files) if files else ""
    start = len(common) + 1 if common else 0
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for path, size in files.items():
        groups[path[start:].partition("/")[0]][path] = size
    parts = []
    for group in groups.values():
        if len(group) == 1 or depth == MAX_DEPTH:
            parts += [{"name": clean(f"/{path}"), "bytes": size} for path, size in group.items()]
        else:
            folder = posixpath.commonpath(group)
            parts.append(_node(f"/{folder}", _parts(group, min_bytes, depth + 1)))
    return _sum_small(parts, min_bytes, "small files")


def _sum_small(parts: list[Node], min_bytes: int, label: str) -> list[Node]:
    """Return the parts, largest first; those below `min_bytes` become one part."""
    large = [part for part in parts if part["bytes"] >= min_bytes]
    small = [part for part in parts if part["bytes"] < min_bytes]
    if len(small) > 1:
        total = sum(part["bytes"] for part in small)
        small = [{"name": f"{len(small)} {label}", "bytes": total}]
    return sorted(large + small, key=lambda part: (-part["bytes"], part["name"]))


def _node(name: str, parts: list[Node]) -> Node:
    return {"name": clean(name), "bytes": sum(part["bytes"] for part in parts), "parts": parts}
