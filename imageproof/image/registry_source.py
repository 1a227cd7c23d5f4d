"""Images in a registry, read without the engine.

A cached layer is not downloaded: the configuration names its diff_id, and the engine verifies that
when it pulls the image.
"""

from __future__ import annotations

from typing import Any

from imageproof.documents import parse_json
from imageproof.image.archive import ArchiveContents, LoadCachedLayer
from imageproof.image.facts import Layer
from imageproof.image.oci_layout import (
    MALFORMED,
    StoredImage,
    blob_path,
    checked_image,
    damaged,
    describe,
    platforms_of,
    select_manifest,
)
from imageproof.registry.client import MAX_DOCUMENT_BYTES, Registry
from imageproof.registry.copy import require_manifest
from imageproof.registry.manifest import parse_descriptor
from imageproof.registry.reference import Reference


def resolve_digest(reference: Reference) -> tuple[str, tuple[str, ...]]:
    """Return the digest of an image, and its platforms; () if it is not an index.

    Raises:
        UsageError: The registry has no such image.
        RegistryUnavailable: The registry does not answer, or refuses a request.
    """
    with Registry(reference.host) as registry:
        top = require_manifest(registry, reference)
    try:
        return top.digest, platforms_of(top.document) if top.is_index else ()
    except MALFORMED as error:
        raise damaged(str(reference), f"it is not an image: {describe(error)}") from error


def read_registry_image(
    reference: Reference, load_cached_layer: LoadCachedLayer, platform: str | None = None
) -> StoredImage:
    """Read the image of one platform; arguments as for `read_image_tar`.

    Raises:
        UsageError: The registry has no such image, or none for the platform.
        RegistryUnavailable: The registry does not answer, or refuses a request.
        ImageDamaged: The image is damaged.
    """
    with Registry(reference.host) as registry:
        try:
            return _read(registry, reference, load_cached_layer, platform)
        except MALFORMED as error:
            raise damaged(str(reference), f"it is not an image: {describe(error)}") from error


def _read(
    registry: Registry,
    reference: Reference,
    load_cached_layer: LoadCachedLayer,
    platform: str | None,
) -> StoredImage:
    source = str(reference)
    manifest = _read_manifest(registry, reference, platform)
    config_blob = parse_descriptor(manifest["config"], f"reading {source}")
    if config_blob.size > MAX_DOCUMENT_BYTES:
        raise damaged(source, f"its configuration has more than {MAX_DOCUMENT_BYTES:,} bytes")
    config_chunks = registry.blob(reference.path, config_blob, "the configuration")
    config = parse_json(b"".join(config_chunks))
    contents = ArchiveContents(source, load_cached_layer)

    def read_layer(item: Any, diff_id: str) -> Layer:
        if layer := load_cached_layer(diff_id):
            return layer
        blob = parse_descriptor(item, f"reading {source}")
        name = blob_path(blob.digest)
        if name not in contents.layers:
            contents.add_layer(name, registry.blob(reference.path, blob, "a layer"))
        return contents.layers[name]

    pairs = zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
    layers = [read_layer(item, str(diff_id)) for item, diff_id in pairs]
    return checked_image(source, config_blob.digest, config, layers, platform)


def _read_manifest(registry: Registry, reference: Reference, platform: str | None) -> Any:
    """Return the manifest for the platform."""
    top = require_manifest(registry, reference)
    documents: dict[str, Any] = {blob_path(top.digest): top.document}

    def read_document(path: str) -> Any:
        if path not in documents:
            digest = path.removeprefix("blobs/").replace("/", ":")
            documents[path] = require_manifest(registry, reference.with_digest(digest)).document
        return documents[path]

    # An index of one entry, as in an OCI layout: `top` may be an index or a manifest.
    index = {"manifests": [{"digest": top.digest}]}
    return select_manifest(str(reference), index, read_document, platform)
