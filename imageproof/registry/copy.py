"""Copy of an image between repositories, byte for byte, so that digests stay the same.

`docker buildx imagetools create` may wrap an image in a new index, with another digest than the
verified one.
"""

from __future__ import annotations

from collections.abc import Iterator

from imageproof.errors import ImageDamaged, UsageError
from imageproof.registry.client import Registry
from imageproof.registry.manifest import (
    HINT_PUSH_AGAIN,
    Descriptor,
    Manifest,
    parse_descriptor,
)
from imageproof.registry.reference import Reference

MAX_DEPTH = 4  # of nested indexes
MAX_MANIFESTS = 256  # of one image, over all its platforms


def require_manifest(registry: Registry, reference: Reference) -> Manifest:
    """Return the manifest or index of a reference.

    Raises:
        UsageError: The registry has no such image.
    """
    manifest = registry.manifest(reference.path, reference.digest or reference.tag)
    if manifest is None:
        hint = "was it pushed? Some registries hide images that your user may not read"
        raise UsageError(f"reading {reference}", "the registry has no such image", hint=hint)
    return manifest


def copy_image(
    source: Registry, source_image: Reference, target: Registry, target_image: Reference
) -> None:
    """Copy an image to the tag of `target_image`, without the blobs that are there already.

    Raises:
        UsageError: The source has no such image.
        RegistryUnavailable: A registry does not answer, or refuses a request.
        ImageDamaged: The image is damaged.
    """
    action = f"copying {source_image}"
    top = require_manifest(source, source_image)
    if source_image.repository != target_image.repository:
        for manifest in _children_first(source, source_image, top, action):
            for blob in _blobs(manifest, action):
                _copy_blob(source, source_image.path, target, target_image.path, blob)
            target.put_manifest(target_image.path, manifest.digest, manifest)
    target.put_manifest(target_image.path, target_image.tag, top)


def _children_first(
    source: Registry, image: Reference, top: Manifest, action: str
) -> Iterator[Manifest]:
    """Yield every manifest of an image after those that it lists, as registries require."""
    count = 0

    def walk(manifest: Manifest, depth: int) -> Iterator[Manifest]:
        nonlocal count
        count += 1
        if depth > MAX_DEPTH or count > MAX_MANIFESTS:
            cause = "the image has too many manifests"
            raise ImageDamaged(action, cause, hint=HINT_PUSH_AGAIN)
        if manifest.is_index:
            for item in _descriptors(manifest, "manifests", action):
                child = require_manifest(source, image.with_digest(item.digest))
                yield from walk(child, depth + 1)
        yield manifest

    return walk(top, 1)


def _blobs(manifest: Manifest, action: str) -> list[Descriptor]:
    if manifest.is_index:
        return []
    config = parse_descriptor(manifest.document.get("config"), action)
    return list(dict.fromkeys([config, *_descriptors(manifest, "layers", action)]))


def _descriptors(manifest: Manifest, key: str, action: str) -> list[Descriptor]:
    items = manifest.document.get(key)
    if not isinstance(items, list):
        raise ImageDamaged(action, f"the manifest has no list of {key}", hint=HINT_PUSH_AGAIN)
    return [parse_descriptor(item, action) for item in items]


def _copy_blob(
    source: Registry, source_path: str, target: Registry, target_path: str, blob: Descriptor
) -> None:
    if target.has_blob(target_path, blob.digest):
        return
    if source.host == target.host and target.mount_blob(target_path, blob.digest, source_path):
        return
    target.upload_blob(target_path, blob, source.blob(source_path, blob))
