"""Copy an image from one place to another, byte for byte: what has the same digest is the same.

Not by `docker buildx imagetools create`, which may write an index of its own around an image, so
that it has another digest than the one that was verified.
"""

from __future__ import annotations

from collections.abc import Iterator

from imageproof.errors import StackFailed, UsageError
from imageproof.registry.client import ANEW, Descriptor, Manifest, Registry, descriptor
from imageproof.registry.reference import Reference

DEPTH = 4  # of indexes in indexes
MANIFESTS = 256  # of one image, over all its platforms


def manifest(registry: Registry, reference: Reference) -> Manifest:
    """What has that name. Raises UsageError where the registry has nothing of it."""
    found = registry.manifest(reference.path, reference.digest or reference.tag)
    if found is None:
        hint = "was it pushed there? A registry may also hide what this user may not see"
        raise UsageError(f"reading {reference}", "the registry has no such image", hint=hint)
    return found


def copy(source: Registry, origin: Reference, target: Registry, to: Reference) -> None:
    """Copy the image of a digest to a tag. What is there already is not transferred again.

    Raises UsageError, RegistryUnavailable, and StackFailed for what is not what it is named by.
    """
    top = manifest(source, origin)
    if (source.host, origin.path) != (target.host, to.path):
        for item in _below(source, origin, top):
            for blob in _blobs(item, f"copying {origin}"):
                _bring(source, origin, target, to, blob)
            target.put(to.path, item.digest, item)
    target.put(to.path, to.tag, top)


def _below(source: Registry, origin: Reference, top: Manifest) -> Iterator[Manifest]:
    """Every manifest of an image, each behind those that it names: registries ask for that."""
    count = 0

    def walk(found: Manifest, depth: int) -> Iterator[Manifest]:
        nonlocal count
        count += 1
        if depth > DEPTH or count > MANIFESTS:
            raise StackFailed(f"copying {origin}", "it has too many manifests", hint=ANEW)
        if found.is_index:
            for item in _listed(found, "manifests", f"copying {origin}"):
                yield from walk(manifest(source, origin.by(item.digest)), depth + 1)
        yield found

    return walk(top, 1)


def _blobs(found: Manifest, action: str) -> list[Descriptor]:
    if found.is_index:
        return []
    config = descriptor(found.document.get("config"), action)
    return list(dict.fromkeys([config, *_listed(found, "layers", action)]))


def _listed(found: Manifest, key: str, action: str) -> list[Descriptor]:
    items = found.document.get(key)
    if not isinstance(items, list):
        raise StackFailed(action, f"the manifest has no list of {key}", hint=ANEW)
    return [descriptor(item, action) for item in items]


def _bring(
    source: Registry, origin: Reference, target: Registry, to: Reference, blob: Descriptor
) -> None:
    if target.has(to.path, blob.digest):
        return
    if source.host == target.host and target.mount(to.path, blob.digest, origin.path):
        return
    target.upload(to.path, blob, source.blob(origin.path, blob))
