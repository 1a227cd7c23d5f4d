"""An image in a registry, read as one in an archive is: nothing of it comes into the engine.

A layer that was read before is not downloaded: the configuration names its content, and whoever
pulls the image holds it to that.
"""

from __future__ import annotations

import json
from typing import Any

from imageproof.image.archive import Contents, Known
from imageproof.image.facts import Layer
from imageproof.image.oci_layout import (
    MISSHAPEN,
    Found,
    blob,
    broken,
    manifest_of,
    matched,
    platforms_of,
    why,
)
from imageproof.registry.client import MAX_DOCUMENT_BYTES, Registry, parse_descriptor
from imageproof.registry.copy import require_manifest
from imageproof.registry.reference import Reference, parse_reference

SCHEME = "docker://"  # as skopeo and podman name an image in a registry


def is_remote(reference: str) -> bool:
    """Whether an image in a registry is meant, wherever else one of that name may be."""
    return reference.startswith(SCHEME)


def named(reference: str) -> Reference:
    """The image that is meant. Raises UsageError for what is no name."""
    return parse_reference(reference.removeprefix(SCHEME), f"verifying {reference}")


def resolve_digest(reference: Reference) -> tuple[str, tuple[str, ...]]:
    """The digest of an image, and the platforms that it is for; () where it does not say.

    Raises UsageError where the registry has none of that name, RegistryUnavailable.
    """
    with Registry(reference.host) as registry:
        top = require_manifest(registry, reference)
    try:
        return top.digest, platforms_of(top.document) if top.is_index else ()
    except MISSHAPEN as error:
        raise broken(str(reference), f"it is no image: {why(error)}") from error


def image_of_registry(reference: Reference, known: Known, wanted: str | None = None) -> Found:
    """The image of one platform. Raises UsageError, RegistryUnavailable, and StackFailed for what
    is not what it is named by."""
    with Registry(reference.host) as registry:
        try:
            return _image(registry, reference, known, wanted)
        except MISSHAPEN as error:
            raise broken(str(reference), f"it is no image: {why(error)}") from error


def _image(registry: Registry, reference: Reference, known: Known, wanted: str | None) -> Found:
    what = str(reference)
    top = require_manifest(registry, reference)
    documents: dict[str, Any] = {blob(top.digest): top.document}

    def document(name: str) -> Any:
        if name not in documents:
            digest = name.removeprefix("blobs/").replace("/", ":")
            documents[name] = require_manifest(registry, reference.with_digest(digest)).document
        return documents[name]

    index = {"manifests": [{"digest": top.digest}]}
    chosen = manifest_of(what, index, document, wanted)
    about = parse_descriptor(chosen["config"], f"reading {what}")
    if about.size > MAX_DOCUMENT_BYTES:
        raise broken(what, f"its configuration has more than {MAX_DOCUMENT_BYTES:,} bytes")
    config = json.loads(b"".join(registry.blob(reference.path, about, "the configuration")))
    contents = Contents(what)

    def layer(item: Any, diff_id: str) -> Layer:
        if found := known(diff_id):
            return found
        stored = parse_descriptor(item, f"reading {what}")
        name = blob(stored.digest)
        if name in contents.layers:
            return contents.layers[name]
        return contents.read(name, registry.blob(reference.path, stored, "a layer"), known)

    pairs = zip(chosen["layers"], config["rootfs"]["diff_ids"], strict=True)
    layers = [layer(item, str(diff_id)) for item, diff_id in pairs]
    return matched(what, about.digest, config, layers, wanted)
