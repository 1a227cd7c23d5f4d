"""Images in archives: `docker save` tars, OCI layouts in a tar or a folder.

Digests are verified: each blob against its name, each layer against the image configuration.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from imageproof.documents import parse_json
from imageproof.image.facts import Layer
from imageproof.image.layers import MAX_ENTRIES, read_layer
from imageproof.image.oci_layout import (
    MALFORMED,
    StoredImage,
    checked_image,
    damaged,
    describe,
    image_of_layout,
    require_one_image,
)
from imageproof.image.stream import GZIP_MAGIC, ZSTD_MAGIC, Digest, decompress, read_chunks
from imageproof.image.tar import printable, read_entries

MAX_DOCUMENT_BYTES = 1 << 22  # of one manifest or configuration, as in registries
MAX_TOTAL_DOCUMENT_BYTES = 1 << 26  # of all documents of an archive
MAX_LAYERS = 1000  # of an archive; an image has at most 127
MAX_TOTAL_ENTRIES = 1_000_000  # of all layers of an archive
# Blobs of a layout, and configurations of `docker save` before engine 25.
_DIGEST_IN_NAME = re.compile(r"(?:blobs/sha256/([0-9a-f]{64})|([0-9a-f]{64})\.json)")
LoadCachedLayer = Callable[[str], Layer | None]  # from diff_id to facts


@dataclass
class ArchiveContents:
    """Documents (not parsed), layers and links of an archive, by their names in it.

    `source`: the archive's name, for errors. `trusted`: the engine itself writes the archive, so
    blobs have the digests in their names.
    """

    source: str
    load_cached_layer: LoadCachedLayer
    trusted: bool = False
    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    # Names of documents and layers come from untrusted JSON: they may not be strings.

    def document(self, name: str) -> Any:
        """Return a parsed document.

        Raises:
            ImageDamaged: The document is missing, too large or invalid.
        """
        text = self.documents.get(name)
        if text is None:
            bound = f"of at most {MAX_DOCUMENT_BYTES:,} bytes"
            raise damaged(self.source, f"it has no document {printable(str(name))} {bound}")
        try:
            return parse_json(text)
        except ValueError as error:
            cause = f"{printable(name)} is invalid JSON: {describe(error)}"
            raise damaged(self.source, cause) from error

    def layer(self, name: str) -> Layer:
        """Return a layer. Engines before 25 write a link instead of a repeated layer.

        Raises:
            ImageDamaged: The layer is missing.
        """
        layer = self.layers.get(self.links.get(name, name))
        if layer is None:
            raise damaged(self.source, f"it has no layer {printable(str(name))}")
        return layer

    def add_document(self, name: str, text: bytes) -> None:
        """Store a document. Raise ImageDamaged if the digest in its name is wrong."""
        self._require_digest(name, _digest(text))
        self.documents[name] = text

    def add_layer(self, name: str, chunks: Iterator[bytes]) -> Layer:
        """Read a blob as the layer `name`, or take its facts from the cache.

        Raises:
            ImageDamaged: The layer is invalid, beyond a bound, or its name has a wrong digest.
        """
        head, body = _peek(chunks)
        compressed = _is_compressed(head)
        action = f"reading the layer {printable(name)} of {self.source}"
        # Only an uncompressed layer has its diff_id in its name.
        diff_id = None if compressed else _digest_in_name(name)
        layer = self.load_cached_layer(diff_id) if diff_id else None
        if layer is not None:
            if not self.trusted:
                self._require_digest(name, _digest_of_stream(body))
        elif compressed:
            blob = Digest()
            stored = blob.through(body)
            layer = read_layer(decompress(head, stored, action), action, self._max_entries())
            _exhaust(stored)  # the decompressor may stop before the blob's end
            self._require_digest(name, str(blob))
        else:
            known_diff_id = diff_id if self.trusted else None
            layer = read_layer(
                decompress(head, body, action), action, self._max_entries(), known_diff_id
            )
            self._require_digest(name, layer.diff_id)
        self.layers[name] = layer
        return layer

    def _max_entries(self) -> int:
        """Return how many entries the next layer may have."""
        if len(self.layers) >= MAX_LAYERS:
            raise damaged(self.source, f"it has more than {MAX_LAYERS:,} layers")
        entries = sum(len(layer.files) for layer in self.layers.values())
        return min(MAX_ENTRIES, MAX_TOTAL_ENTRIES - entries)

    def _require_digest(self, name: str, actual: str) -> None:
        expected = _digest_in_name(name)
        if expected and actual != expected:
            cause = f"{expected} is damaged: its content has another digest"
            raise damaged(self.source, cause)


def read_archive(
    chunks: Iterator[bytes],
    source: str,
    load_cached_layer: LoadCachedLayer,
    *,
    trusted: bool = False,
) -> ArchiveContents:
    """Read all documents and layers of a tar.

    Args:
        chunks: The tar, uncompressed.
        source: The archive's name, for errors.
        load_cached_layer: Returns the facts of a layer that was read before.
        trusted: The engine itself writes the tar: blobs have the digests in their names.

    Raises:
        ImageDamaged: The archive is damaged or beyond a bound.
    """
    contents = ArchiveContents(source, load_cached_layer, trusted)
    document_bytes = 0
    for member, content in read_entries(chunks, f"reading {source}"):
        name = posixpath.normpath(member.name)
        if member.issym() or member.islnk():
            folder = posixpath.dirname(name) if member.issym() else ""
            contents.links[name] = posixpath.normpath(f"{folder}/{member.linkname}").lstrip("/")
        if not member.isfile():
            continue
        head, body = _peek(content)
        if _is_layer(head):
            contents.add_layer(name, body)
        # Longer JSON, such as a bill of materials, is allowed but is not a manifest.
        elif head[:1] in (b"{", b"[") and member.size <= MAX_DOCUMENT_BYTES:
            document_bytes += member.size
            if document_bytes > MAX_TOTAL_DOCUMENT_BYTES:
                cause = f"its documents have more than {MAX_TOTAL_DOCUMENT_BYTES:,} bytes"
                raise damaged(source, cause)
            contents.add_document(name, b"".join(body))
    return contents


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first chunk, and an iterator over all chunks."""
    head = next(chunks, b"")
    return head, chain([head], chunks)


def _exhaust(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def _is_compressed(head: bytes) -> bool:
    return head.startswith((GZIP_MAGIC, ZSTD_MAGIC))


def _is_layer(head: bytes) -> bool:
    """Recognize a tar by its magic (POSIX.1-1988), an empty tar, or compressed data."""
    return _is_compressed(head) or head[257:262] == b"ustar" or head[:512] == b"\0" * 512


def _digest_in_name(name: str) -> str | None:
    match = _DIGEST_IN_NAME.fullmatch(name)
    return f"sha256:{match[1] or match[2]}" if match else None


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _digest_of_stream(chunks: Iterator[bytes]) -> str:
    digest = Digest()
    _exhaust(digest.through(chunks))
    return str(digest)


def read_image_tar(
    path: Path, load_cached_layer: LoadCachedLayer, platform: str | None = None
) -> StoredImage:
    """Read the only image of a tar file, which may be compressed.

    Args:
        path: The tar file.
        load_cached_layer: Returns the facts of a layer that was read before.
        platform: Such as linux/arm64 (default: this machine's, or the only one).

    Raises:
        UsageError: It has no image, or several.
        ImageDamaged: It is damaged.
        OSError: It cannot be read.
    """
    source = printable(path.name)
    with path.open("rb") as file:
        head = file.read(len(ZSTD_MAGIC))
        chunks = decompress(head, read_chunks(file, head), f"reading {source}")
        contents = read_archive(chunks, source, load_cached_layer)
    try:
        if "manifest.json" in contents.documents:
            return _image_of_docker_save(contents, platform)
        return image_of_layout(source, contents.document, contents.layer, platform)
    except MALFORMED as error:
        raise damaged(source, f"it is not an image: {describe(error)}") from error


def _image_of_docker_save(contents: ArchiveContents, platform: str | None) -> StoredImage:
    """Return the only image of manifest.json."""
    images = contents.document("manifest.json")
    names = [str((image.get("RepoTags") or [image["Config"]])[0]) for image in images]
    require_one_image(contents.source, names)
    (image,) = images
    config = contents.document(image["Config"])
    identity = _digest(contents.documents[image["Config"]])
    layers = map(contents.layer, image["Layers"])
    return checked_image(contents.source, identity, config, layers, platform)


def read_layout_folder(
    folder: Path, load_cached_layer: LoadCachedLayer, platform: str | None = None
) -> StoredImage:
    """Read the only image of an OCI layout in a folder; arguments as for `read_image_tar`.

    Raises:
        UsageError: It has no image, or several.
        ImageDamaged: It is damaged.
        OSError: It cannot be read.
    """
    root = folder.resolve()
    contents = ArchiveContents(printable(root.name), load_cached_layer)

    def require_file(name: str) -> Path:
        path = root / name
        if not path.is_file() or path.resolve() != path:  # a link could leave the folder
            raise damaged(contents.source, f"it has no file {printable(name)}")
        return path

    def read_document(name: str) -> Any:
        path = require_file(name)
        if path.stat().st_size <= MAX_DOCUMENT_BYTES:
            contents.add_document(name, path.read_bytes())
        return contents.document(name)

    def read_layer_file(name: str) -> Layer:
        if name not in contents.layers:
            with require_file(name).open("rb") as file:
                contents.add_layer(name, read_chunks(file))
        return contents.layers[name]

    try:
        return image_of_layout(contents.source, read_document, read_layer_file, platform)
    except MALFORMED as error:
        raise damaged(contents.source, f"it is not an OCI layout: {describe(error)}") from error
