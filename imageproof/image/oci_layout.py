"""What the documents of an archive say: which image it holds, of which configuration and layers.

OCI image spec: image-layout.md, image-index.md, manifest.md, config.md. Nothing here reads bytes;
imageproof.image.archive does, from a tar or a folder, and imageproof.image.registry_source from a registry.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageproof.errors import StackFailed, UsageError
from imageproof.image.facts import Layer
from imageproof.image.tar import printable

DEPTH = 4  # of indexes in indexes
# What a document may raise that has another form than the specification's.
MISSHAPEN = (KeyError, TypeError, AttributeError, IndexError, ValueError)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
Document = Callable[[str], Any]


@dataclass(frozen=True)
class Found:
    """An image of an archive: its configuration, and its layers in their order."""

    identity: str
    config: Any
    layers: tuple[Layer, ...]


def broken(what: str, why: object) -> StackFailed:
    """The error for an archive that contradicts itself."""
    return StackFailed(f"reading {what}", str(why), hint="build, save or fetch the image anew")


def why(error: Exception) -> str:
    """What is wrong with a document of another form, in few words."""
    said = f"{type(error).__name__} {error}"
    return printable(said if len(said) < 200 else f"{said[:200]}...")


def laid_out(
    what: str, document: Document, layer: Callable[[str], Layer], wanted: str | None = None
) -> Found:
    """The image of an OCI layout, by index.json. Raises UsageError where it holds several or
    none, StackFailed for what contradicts itself, one of MISSHAPEN for what is no layout."""
    manifest = manifest_of(what, document("index.json"), document, wanted)
    identity = str(manifest["config"]["digest"])
    config = document(blob(identity))
    layers = [layer(blob(d["digest"])) for d in manifest["layers"]]
    return matched(what, identity, config, layers, wanted)


def manifest_of(what: str, index: Any, document: Document, wanted: str | None = None) -> Any:
    """The manifest of one platform (`wanted`, as in linux/arm64; None: this machine's, or the only
    one), through indexes in indexes. Raises as `laid_out` does."""
    return _manifest(what, index, document, wanted, DEPTH)


def matched(
    what: str, identity: str, config: Any, layers: Iterable[Layer], wanted: str | None = None
) -> Found:
    """The image, once its layers and platform are those that its configuration names."""
    found = tuple(layers)
    if wanted and not _fits({"platform": config}, wanted):
        raise UsageError(f"reading {what}", f"it is no image for {wanted}")
    if list(map(str, config["rootfs"]["diff_ids"])) != [layer.diff_id for layer in found]:
        raise broken(what, "its layers are not those that its configuration names")
    return Found(identity, config, found)


def blob(digest: object) -> str:
    """Where a layout has what a digest names, which may lead nowhere else."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"{printable(str(digest))[:80]} is no digest")
    return f"blobs/{digest.replace(':', '/')}"


def only(what: str, names: Sequence[str], wanted: str | None = None) -> None:
    """Raise UsageError unless there is one image."""
    if len(names) != 1:
        named = f": {', '.join(map(printable, names[:8]))}" if names else ""
        raise UsageError(
            f"reading {what}",
            f"it holds {len(names)} images for {wanted or 'this machine'}{named}",
            hint="`docker save` the one that is meant, alone; or name its --platform",
        )


def _manifest(what: str, index: Any, document: Document, wanted: str | None, depth: int) -> Any:
    if depth == 0:
        raise broken(what, f"indexes in it lie more than {DEPTH} deep in one another")
    # One image may stand there under several names.
    offered = {blob(item["digest"]): item for item in index["manifests"] if _is_image(item)}
    fitting = {path: item for path, item in offered.items() if _fits(item, wanted or _machine())}
    if wanted is None:
        fitting = fitting or offered
    only(what, list(map(_name, fitting.values())), wanted)
    found = document(next(iter(fitting)))
    if "manifests" in found:
        return _manifest(what, found, document, wanted, depth - 1)
    return found


def platforms_of(index: Any) -> tuple[str, ...]:
    """The platforms that an index has images for, as in linux/arm64/v8. Raises MISSHAPEN."""
    items = [_platform(item) for item in index["manifests"] if _is_image(item)]
    keys = ("os", "architecture", "variant")
    return tuple("/".join(str(item[key]) for key in keys if item.get(key)) for item in items)


def _platform(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("platform") or {}


def _is_image(item: Mapping[str, Any]) -> bool:
    """An attestation is none (buildx gives it the platform unknown/unknown)."""
    return _platform(item).get("architecture") != "unknown"


def _machine() -> str:
    return f"linux/{_MACHINES.get(platform.machine(), platform.machine())}"


def _fits(item: Mapping[str, Any], wanted: str) -> bool:
    """Part by part; what either of both leaves out fits."""
    found = _platform(item)
    parts = zip(("os", "architecture", "variant"), wanted.split("/"), strict=False)
    return all(found.get(key) in (None, "", part) for key, part in parts)


def _name(item: Mapping[str, Any]) -> str:
    notes = item.get("annotations") or {}
    names = [str(notes[key]) for key in _NAMES if key in notes]
    return names[0] if names else f"{item['digest'][:19]}..."
