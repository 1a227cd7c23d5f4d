"""Documents of an image outside the engine: indexes, manifests, configuration.

OCI image spec: image-layout.md, image-index.md, manifest.md, config.md. The caller reads the
documents: archive.py from a tar or folder, registry_source.py from a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from platform import machine
from typing import Any

from imageproof.errors import ImageDamaged, UsageError
from imageproof.image.facts import Layer
from imageproof.image.tar import printable
from imageproof.registry.reference import is_digest

MAX_INDEX_DEPTH = 4
# Errors of reading a document that does not follow the specification.
MALFORMED = (KeyError, TypeError, AttributeError, IndexError, ValueError)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
ReadDocument = Callable[[str], Any]


@dataclass(frozen=True)
class StoredImage:
    """Image outside the engine: its configuration, and its layers in order."""

    identity: str
    config: Any
    layers: tuple[Layer, ...]


def damaged(source: str, cause: object) -> ImageDamaged:
    """Return the error for an image that is damaged or contradicts itself."""
    return ImageDamaged(
        f"reading {source}", str(cause), hint="build, save or fetch the image again"
    )


def describe(error: Exception) -> str:
    """Describe an error of a malformed document in at most 200 characters."""
    text = f"{type(error).__name__} {error}"
    return printable(text if len(text) < 200 else f"{text[:200]}...")


def image_of_layout(
    source: str,
    read_document: ReadDocument,
    read_layer: Callable[[str], Layer],
    platform: str | None = None,
) -> StoredImage:
    """Return the image of an OCI layout.

    Args:
        source: Name of the layout, for errors.
        read_document: Reads the JSON document of a path in the layout.
        read_layer: Reads the layer of a path in the layout.
        platform: Such as linux/arm64 (default: this machine's, or the only one).

    Raises:
        UsageError: The layout has no image for the platform, or several.
        ImageDamaged: The layout contradicts itself.
        MALFORMED: The layout is invalid.
    """
    manifest = select_manifest(source, read_document("index.json"), read_document, platform)
    identity = str(manifest["config"]["digest"])
    config = read_document(blob_path(identity))
    layers = [read_layer(blob_path(item["digest"])) for item in manifest["layers"]]
    return checked_image(source, identity, config, layers, platform)


def select_manifest(
    source: str,
    index: Any,
    read_document: ReadDocument,
    platform: str | None = None,
    *,
    max_depth: int = MAX_INDEX_DEPTH,
) -> Any:
    """Return the manifest for one platform, through nested indexes; raise as `image_of_layout`."""
    if max_depth == 0:
        raise damaged(source, f"its indexes are nested more than {MAX_INDEX_DEPTH} deep")
    # By path: an index may list one image under several names.
    images = {blob_path(item["digest"]): item for item in index["manifests"] if _is_image(item)}
    wanted = platform or _host_platform()
    matching = {p: item for p, item in images.items() if _matches(_platform_of(item), wanted)}
    if platform is None:
        matching = matching or images
    require_one_image(source, list(map(_name, matching.values())), platform)
    document = read_document(next(iter(matching)))
    if "manifests" in document:
        return select_manifest(source, document, read_document, platform, max_depth=max_depth - 1)
    return document


def checked_image(
    source: str, identity: str, config: Any, layers: Iterable[Layer], platform: str | None = None
) -> StoredImage:
    """Return the image if its layers and platform match its configuration.

    Raises:
        UsageError: The image has another platform.
        ImageDamaged: The image has other layers.
    """
    layers = tuple(layers)
    if platform and not _matches(config, platform):  # it has the same keys as a platform
        raise UsageError(
            f"reading {source}",
            f"it has no image for {platform}",
            hint="leave out --platform, or name one of the image's own",
        )
    if list(map(str, config["rootfs"]["diff_ids"])) != [layer.diff_id for layer in layers]:
        raise damaged(source, "its layers are not those of its configuration")
    return StoredImage(identity, config, layers)


def blob_path(digest: object) -> str:
    """Return the path of a blob in a layout. Raise ValueError for an invalid digest."""
    if not isinstance(digest, str) or not is_digest(digest):
        raise ValueError(f"{printable(str(digest))[:80]} is an invalid digest")
    return f"blobs/{digest.replace(':', '/')}"


def require_one_image(source: str, names: Sequence[str], platform: str | None = None) -> None:
    """Raise UsageError unless there is exactly one image."""
    if len(names) != 1:
        listed = f": {', '.join(map(printable, names[:8]))}" if names else ""
        raise UsageError(
            f"reading {source}",
            f"it holds {len(names)} images for {platform or 'this machine'}{listed}",
            hint="save a single image with `docker save`, or select one with --platform",
        )


def platforms_of(index: Any) -> tuple[str, ...]:
    """Return the platforms of an index, such as linux/arm64/v8. Raise MALFORMED."""
    items = [_platform_of(item) for item in index["manifests"] if _is_image(item)]
    keys = ("os", "architecture", "variant")
    return tuple("/".join(str(item[key]) for key in keys if item.get(key)) for item in items)


def _platform_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("platform") or {}


def _is_image(item: Mapping[str, Any]) -> bool:
    """Return False for an attestation, which buildx gives the platform unknown/unknown."""
    return _platform_of(item).get("architecture") != "unknown"


def _host_platform() -> str:
    return f"linux/{_ARCHITECTURES.get(machine(), machine())}"


def _matches(offered: Mapping[str, Any], wanted: str) -> bool:
    """Return whether a platform is the wanted one; a part that either side omits matches."""
    parts = zip(("os", "architecture", "variant"), wanted.split("/"), strict=False)
    return all(offered.get(key) in (None, "", part) for key, part in parts)


def _name(item: Mapping[str, Any]) -> str:
    annotations = item.get("annotations") or {}
    names = [str(annotations[key]) for key in _NAME_ANNOTATIONS if key in annotations]
    return names[0] if names else f"{item['digest'][:19]}..."
