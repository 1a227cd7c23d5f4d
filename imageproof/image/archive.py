"""Images in archives: `docker save` tars, OCI layouts in a tar or a folder.

Digests are verified: each blob against its name, each layer against the image configuration.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imageproof.errors import StackFailed
from imageproof.image import layers as layer_reader
from imageproof.image.facts import Layer
from imageproof.image.oci_layout import (
    MALFORMED,
    StoredImage,
    checked_image,
    damaged,
    describe,
    image_of_layout,
    require_one,
)
from imageproof.image.stream import GZIP_MAGIC, ZSTD_MAGIC, Digest, decompress, read_chunks
from imageproof.image.tar import printable, read_entries

MAX_DOCUMENT_BYTES = 1 << 22  # of one manifest or configuration, as in registries
MAX_DOCUMENTS_BYTES = 1 << 26  # of all of them
MAX_LAYERS = 1000  # of an archive; an image has at most 127
MAX_ENTRIES = 1_000_000  # of all layers together
# Blobs of a layout, and configurations of `docker save` before engine 25.
_DIGEST_IN_NAME = re.compile(r"(?:blobs/sha256/([0-9a-f]{64})|([0-9a-f]{64})\.json)")
CachedLayer = Callable[[str], Layer | None]  # diff_id to facts


@dataclass
class ArchiveContents:
    """Documents (not parsed), layers and links of an archive, by their names in it."""

    source: str  # the archive's name, for errors
    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def document(self, name: str) -> Any:
        """Return a parsed document. Raise StackFailed if it is missing or invalid."""
        text = self.documents.get(name)
        if text is None:
            bound = f"of at most {MAX_DOCUMENT_BYTES:,} bytes"
            raise damaged(self.source, f"it has no document {printable(str(name))} {bound}")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            cause = f"{printable(name)} is invalid JSON: {describe(error)}"
            raise damaged(self.source, cause) from error

    def layer(self, name: str) -> Layer:
        """Return a layer; engines before 25 write a link for a repeated one.

        Raises:
            StackFailed: It is missing.
        """
        layer = self.layers.get(self.links.get(name, name))
        if layer is None:
            raise damaged(self.source, f"it has no layer {printable(str(name))}")
        return layer

    def add_layer(self, name: str, chunks: Iterator[bytes], cached_layer: CachedLayer) -> Layer:
        """Read a stored blob as the layer `name`. Raise StackFailed if it is damaged."""
        head = next(chunks, b"")
        body = _prepend(head, chunks)
        self.layers[name] = _read_layer(name, head, body, self, cached_layer, trusted=False)
        return self.layers[name]

    def entries_left(self) -> int:
        """Return how many entries the next layer may have. Raise StackFailed."""
        if len(self.layers) >= MAX_LAYERS:
            raise damaged(self.source, f"it has more than {MAX_LAYERS:,} layers")
        entries = sum(len(layer.files) for layer in self.layers.values())
        return min(layer_reader.MAX_ENTRIES, MAX_ENTRIES - entries)


def read_archive(
    chunks: Iterator[bytes], source: str, cached_layer: CachedLayer, *, trusted: bool = False
) -> ArchiveContents:
    """Read all documents and layers of a tar.

    Args:
        chunks: The tar, uncompressed.
        source: The archive's name, for errors.
        cached_layer: Returns known facts of a layer, so that they are not made again.
        trusted: The engine itself writes the tar: blobs have the digests of their names.

    Raises:
        StackFailed: The archive is damaged or beyond a bound.
    """
    contents = ArchiveContents(source)
    document_bytes = 0
    for member, content in read_entries(chunks, f"reading {source}"):
        name = posixpath.normpath(member.name)
        if member.issym() or member.islnk():
            folder = posixpath.dirname(name) if member.issym() else ""
            contents.links[name] = posixpath.normpath(f"{folder}/{member.linkname}").lstrip("/")
        if not member.isfile():
            continue
        head = next(content, b"")
        body = _prepend(head, content)
        if _is_layer(head):
            contents.layers[name] = _read_layer(
                name, head, body, contents, cached_layer, trusted=trusted
            )
        # Longer JSON, such as a bill of materials, is allowed but is not a manifest.
        elif head[:1] in (b"{", b"[") and member.size <= MAX_DOCUMENT_BYTES:
            document_bytes += member.size
            if document_bytes > MAX_DOCUMENTS_BYTES:
                cause = f"its documents have more than {MAX_DOCUMENTS_BYTES:,} bytes"
                raise damaged(source, cause)
            contents.documents[name] = _verified(b"".join(body), name, source)
    return contents


def _prepend(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def _is_compressed(head: bytes) -> bool:
    return head.startswith((GZIP_MAGIC, ZSTD_MAGIC))


def _is_layer(head: bytes) -> bool:
    """Recognize a tar by its magic (POSIX.1-1988), an empty tar, or compressed data."""
    return _is_compressed(head) or head[257:262] == b"ustar" or head[:512] == b"\0" * 512


def _digest_in_name(name: str) -> str | None:
    match = _DIGEST_IN_NAME.fullmatch(name)
    return f"sha256:{match[1] or match[2]}" if match else None


def _read_layer(
    name: str,
    head: bytes,
    body: Iterator[bytes],
    contents: ArchiveContents,
    cached_layer: CachedLayer,
    *,
    trusted: bool,
) -> Layer:
    """Read a layer, or take it from the cache, and verify the digest in its name."""
    expected = _digest_in_name(name)
    compressed = _is_compressed(head)
    # Only an uncompressed layer's name is its diff_id.
    cached = cached_layer(expected) if expected and not compressed else None
    if cached and trusted:
        return cached
    action = f"reading the layer {printable(name)} of {contents.source}"
    blob = Digest()
    # Reading an uncompressed layer computes its digest anyway.
    stream = blob.through(body) if compressed or cached else body
    diff_id = expected if trusted and not compressed else None
    layer = cached or layer_reader.read_layer(
        decompress(head, stream, action), action, contents.entries_left(), diff_id
    )
    for _ in stream:
        pass
    actual = str(blob) if compressed or cached else layer.diff_id
    if expected and actual != expected:
        raise _wrong_digest(expected, contents.source)
    return layer


def _wrong_digest(expected: str, source: str) -> StackFailed:
    return damaged(source, f"{expected} is damaged: its content has another digest")


def _verified(text: bytes, name: str, source: str) -> bytes:
    """Return the text if it has the digest in its name."""
    expected = _digest_in_name(name)
    if expected and _digest(text) != expected:
        raise _wrong_digest(expected, source)
    return text


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def read_image_tar(
    path: Path, cached_layer: CachedLayer, platform: str | None = None
) -> StoredImage:
    """Read the only image of a tar file, which may be compressed.

    Args:
        path: The tar file.
        cached_layer: Returns known facts of a layer.
        platform: Such as linux/arm64 (default: this machine's, or the only one).

    Raises:
        UsageError: It has no image, or several.
        StackFailed: It is damaged.
        OSError: It cannot be read.
    """
    source = printable(path.name)
    with path.open("rb") as file:
        head = file.read(len(ZSTD_MAGIC))
        chunks = decompress(head, read_chunks(file, head), f"reading {source}")
        contents = read_archive(chunks, source, cached_layer)
    try:
        if "manifest.json" in contents.documents:
            return _image_of_docker_save(contents, platform)
        return image_of_layout(source, contents.document, contents.layer, platform)
    except MALFORMED as error:
        raise damaged(source, f"it is not an image: {describe(error)}") from error


def _image_of_docker_save(contents: ArchiveContents, platform: str | None) -> StoredImage:
    """Return the image of manifest.json."""
    entries = contents.document("manifest.json")
    names = [str((entry.get("RepoTags") or [entry["Config"]])[0]) for entry in entries]
    require_one(contents.source, names)
    (entry,) = entries
    config = contents.document(entry["Config"])
    identity = _digest(contents.documents[entry["Config"]])
    layers = map(contents.layer, entry["Layers"])
    return checked_image(contents.source, identity, config, layers, platform)


def read_layout_folder(
    folder: Path, cached_layer: CachedLayer, platform: str | None = None
) -> StoredImage:
    """Read the only image of an OCI layout in a folder; arguments as for `read_image_tar`.

    Raises:
        UsageError: It has no image, or several.
        StackFailed: It is damaged.
        OSError: It cannot be read.
    """
    root = folder.resolve()
    contents = ArchiveContents(printable(root.name))

    def find(name: str) -> Path:
        path = root / name
        if not path.is_file() or path.resolve() != path:  # a link could leave the folder
            raise damaged(contents.source, f"it has no file {printable(name)}")
        return path

    def read_document(name: str) -> Any:
        path = find(name)
        if path.stat().st_size <= MAX_DOCUMENT_BYTES:
            contents.documents[name] = _verified(path.read_bytes(), name, contents.source)
        return contents.document(name)

    def read_layer(name: str) -> Layer:
        if name not in contents.layers:
            with find(name).open("rb") as file:
                contents.add_layer(name, read_chunks(file), cached_layer)
        return contents.layers[name]

    try:
        return image_of_layout(contents.source, read_document, read_layer, platform)
    except MALFORMED as error:
        raise damaged(contents.source, f"it is not an OCI layout: {describe(error)}") from error
