"""Copy of an image between repositories, byte for byte, so that digests stay the same.

`docker buildx imagetools create` may wrap an image in a new index, with another digest than the
verified one.
"""

from __future__ import annotations

from collections.abc import Iterator

from imageproof.errors import StackFailed, UsageError
from imageproof.registry.client import (
    HINT_PUSH_AGAIN,
    Descriptor,
    Manifest,
    Registry,
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


def copy(source: Registry, origin: Reference, target: Registry, to: Reference) -> None:
    """Copy the image `origin` to the tag of `to`, without the blobs that are there already.

    Raises:
        UsageError: The source has no such image.
        RegistryUnavailable: A registry does not answer, or refuses a request.
        StackFailed: The image is damaged.
    """
    top = require_manifest(source, origin)
    if (source.host, origin.path) != (target.host, to.path):
        for manifest in _children_first(source, origin, top):
            for blob in _blobs(manifest, f"copying {origin}"):
                _copy_blob(source, origin, target, to, blob)
            target.put_manifest(to.path, manifest.digest, manifest)
    target.put_manifest(to.path, to.tag, top)


def _children_first(source: Registry, origin: Reference, top: Manifest) -> Iterator[Manifest]:
    """Yield every manifest of an image after those that it lists, as registries require."""
    count = 0

    def walk(manifest: Manifest, depth: int) -> Iterator[Manifest]:
        nonlocal count
        count += 1
        if depth > MAX_DEPTH or count > MAX_MANIFESTS:
            cause = "the image has too many manifests"
            raise StackFailed(f"copying {origin}", cause, hint=HINT_PUSH_AGAIN)
        if manifest.is_index:
            for item in _descriptors(manifest, "manifests", f"copying {origin}"):
                child = require_manifest(source, origin.with_digest(item.digest))
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
        raise StackFailed(action, f"the manifest has no list of {key}", hint=HINT_PUSH_AGAIN)
    return [parse_descriptor(item, action) for item in items]


def _copy_blob(
    source: Registry, origin: Reference, target: Registry, to: Reference, blob: Descriptor
) -> None:
    if target.has_blob(to.path, blob.digest):
        return
    if source.host == target.host and target.mount_blob(to.path, blob.digest, origin.path):
        return
    target.upload_blob(to.path, blob, source.blob(origin.path, blob))
