"""Manifests and descriptors (OCI image spec, manifest.md and descriptor.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from imageproof.documents import parse_json
from imageproof.errors import ImageDamaged
from imageproof.registry.reference import is_digest
from imageproof.terminal_text import strip_escapes

MAX_BLOB_BYTES = 1 << 36
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
HINT_PUSH_AGAIN = "build and push the image again"


@dataclass(frozen=True)
class Descriptor:
    """Digest and size (bytes) of a blob or a manifest."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, as bytes: its digest is computed from them."""

    media_type: str
    raw: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The digest of `raw`."""
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    @cached_property
    def document(self) -> dict[str, Any]:
        """The parsed JSON."""
        document: dict[str, Any] = parse_json(self.raw)
        return document

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests: platforms or attestations."""
        return self.media_type in INDEX_TYPES


def parse_descriptor(item: Any, action: str) -> Descriptor:
    """Parse a descriptor in a manifest. Raise ImageDamaged if its digest or size is invalid."""
    digest, size = (item.get("digest"), item.get("size")) if isinstance(item, dict) else ("", 0)
    if not isinstance(digest, str) or not is_digest(digest):
        raise ImageDamaged(action, "the manifest has an invalid digest", hint=HINT_PUSH_AGAIN)
    if type(size) is not int or not 0 <= size <= MAX_BLOB_BYTES:
        cause = f"the manifest has an invalid size (maximum {MAX_BLOB_BYTES:,} bytes)"
        raise ImageDamaged(action, cause, hint=HINT_PUSH_AGAIN)
    return Descriptor(digest, size)


def require_supported(manifest: Manifest, action: str) -> None:
    """Raise ImageDamaged unless it is a JSON object of a supported media type."""
    try:
        stated_type = manifest.document.get("mediaType") or manifest.media_type
    except (ValueError, AttributeError) as error:
        cause = "the manifest is not a JSON object"
        raise ImageDamaged(action, cause, hint=HINT_PUSH_AGAIN) from error
    sent_type = manifest.media_type
    if stated_type != sent_type or sent_type not in (*INDEX_TYPES, *MANIFEST_TYPES):
        stated, sent = strip_escapes(str(stated_type))[:100], strip_escapes(sent_type)[:100]
        raise ImageDamaged(
            action,
            f"unsupported media type: {stated!r} in the manifest, {sent!r} in the response",
            hint="push an OCI image or Docker's schema 2, with a newer client",
        )
