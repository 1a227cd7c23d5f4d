"""Images in archives: `docker save` streams and files, OCI layouts in a tar or in a folder.

What an archive says of itself is checked: a blob has the digest that it is named by, a layer the
diff_id that the configuration names.
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
from imageproof.image import layers as reader
from imageproof.image.facts import Layer
from imageproof.image.oci_layout import MISSHAPEN, Found, broken, laid_out, matched, only, why
from imageproof.image.stream import GZIP, ZSTD, Digest, read_chunks, decompress
from imageproof.image.tar import printable, read_entries

DOCUMENT_BYTES = 1 << 22  # of one manifest or configuration: registries take no more
DOCUMENTS_BYTES = 1 << 26  # of all of them
LAYERS = 1000  # of an archive; an image has 127 at most
ENTRIES = 1_000_000  # of all layers together
# A blob of a layout, and the configuration in what engines before 25 saved.
_NAMED = re.compile(r"(?:blobs/sha256/([0-9a-f]{64})|([0-9a-f]{64})\.json)")
Known = Callable[[str], Layer | None]


@dataclass
class Contents:
    """What an archive holds, by names in it: documents as they are written, layers, links."""

    what: str
    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def document(self, name: str) -> Any:
        """A document of that name. Raises StackFailed."""
        text = self.documents.get(name)
        if text is None:
            most = f"of at most {DOCUMENT_BYTES:,} bytes"
            raise broken(self.what, f"it has no document {printable(str(name))} {most}")
        return _parsed(text, name, self.what)

    def layer(self, name: str) -> Layer:
        """A layer of that name; engines before 25 wrote a link for one that is there twice."""
        found = self.layers.get(self.links.get(name, name))
        if found is None:
            raise broken(self.what, f"it has no layer {printable(str(name))}")
        return found

    def read(self, name: str, chunks: Iterator[bytes], known: Known) -> Layer:
        """Read a layer of that name, as it is stored. Raises StackFailed."""
        head = next(chunks, b"")
        found = _layer(name, head, _from(head, chunks), self, known, trusted=False)
        self.layers[name] = found
        return found

    def room(self) -> int:
        """How many entries the next layer may have. Raises StackFailed."""
        if len(self.layers) >= LAYERS:
            raise broken(self.what, f"it has more than {LAYERS:,} layers")
        taken = sum(len(layer.files) for layer in self.layers.values())
        return min(reader.ENTRIES, ENTRIES - taken)


def read_tar(
    chunks: Iterator[bytes], what: str, known: Known, *, trusted: bool = False
) -> Contents:
    """Every document and every layer of a tar; the facts of a layer that is known are not made
    again. `trusted`: a layer has the digest that it is named by; the engine itself names it."""
    contents = Contents(what)
    size = 0
    for member, content in read_entries(chunks, f"reading {what}"):
        name = posixpath.normpath(member.name)
        if member.issym() or member.islnk():
            folder = posixpath.dirname(name) if member.issym() else ""
            contents.links[name] = posixpath.normpath(f"{folder}/{member.linkname}").lstrip("/")
        if not member.isfile():
            continue
        head = next(content, b"")
        body = _from(head, content)
        if _is_layer(head):
            contents.layers[name] = _layer(name, head, body, contents, known, trusted=trusted)
        # What is longer may be there, as a bill of materials is, but is no manifest.
        elif head[:1] in (b"{", b"[") and member.size <= DOCUMENT_BYTES:
            size += member.size
            if size > DOCUMENTS_BYTES:
                raise broken(what, f"its documents have more than {DOCUMENTS_BYTES:,} bytes")
            contents.documents[name] = _checked(b"".join(body), name, what)
    return contents


def _from(head: bytes, content: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from content


def _compressed(head: bytes) -> bool:
    return head.startswith((GZIP, ZSTD))


def _is_layer(head: bytes) -> bool:
    """A tar by its magic (POSIX.1-1988), an empty one, or something compressed."""
    return _compressed(head) or head[257:262] == b"ustar" or head[:512] == b"\0" * 512


def _named_digest(name: str) -> str | None:
    match = _NAMED.fullmatch(name)
    return f"sha256:{match[1] or match[2]}" if match else None


def _layer(
    name: str,
    head: bytes,
    body: Iterator[bytes],
    contents: Contents,
    known: Known,
    *,
    trusted: bool,
) -> Layer:
    named = _named_digest(name)
    cached = known(named) if named and not _compressed(head) else None
    if cached and trusted:
        return cached
    action = f"reading the layer {printable(name)} of {contents.what}"
    raw = Digest()
    # Of what is not compressed the layer itself gives the digest.
    passing = raw.through(body) if _compressed(head) or cached else body
    believed = named if trusted and not _compressed(head) else None
    layer = cached or reader.read_layer(
        decompress(head, passing, action), action, contents.room(), believed
    )
    for _ in passing:
        pass
    digest = str(raw) if _compressed(head) or cached else layer.diff_id
    if named and digest != named:
        raise _damaged(named, contents.what)
    return layer


def _damaged(named: str, what: str) -> StackFailed:
    return broken(what, f"{named} is damaged: what is stored under it has another digest")


def _checked(text: bytes, name: str, what: str) -> bytes:
    named = _named_digest(name)
    if named and _digest(text) != named:
        raise _damaged(named, what)
    return text


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _parsed(text: bytes, name: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(what, f"{printable(name)} is no JSON: {why(error)}") from error


def image_of_tar(path: Path, known: Known, wanted: str | None = None) -> Found:
    """The one image of a tar file. Raises UsageError where it holds several or none, OSError where
    it cannot be read."""
    what = printable(path.name)
    with path.open("rb") as file:
        head = file.read(len(ZSTD))
        contents = read_tar(decompress(head, read_chunks(file, head), f"reading {what}"), what, known)
    try:
        if "manifest.json" in contents.documents:
            return _saved(contents, wanted)
        return laid_out(what, contents.document, contents.layer, wanted)
    except MISSHAPEN as error:
        raise broken(what, f"it is no image: {why(error)}") from error


def _saved(contents: Contents, wanted: str | None) -> Found:
    """By manifest.json, which `docker save` writes."""
    entries = contents.document("manifest.json")
    names = [str((entry.get("RepoTags") or [entry["Config"]])[0]) for entry in entries]
    only(contents.what, names)
    (entry,) = entries
    config = contents.document(entry["Config"])
    identity = _digest(contents.documents[entry["Config"]])
    return matched(contents.what, identity, config, map(contents.layer, entry["Layers"]), wanted)


def image_of_folder(folder: Path, known: Known, wanted: str | None = None) -> Found:
    """The one image of an OCI layout. Raises UsageError where it holds several or none, OSError
    where it cannot be read."""
    contents = Contents(printable(folder.resolve().name))
    root = folder.resolve()

    def place(name: str) -> Path:
        path = root / name
        if not path.is_file() or path.resolve() != path:  # no link, to nowhere else
            raise broken(contents.what, f"it has no file {printable(name)}")
        return path

    def document(name: str) -> Any:
        path = place(name)
        if path.stat().st_size <= DOCUMENT_BYTES:
            contents.documents[name] = _checked(path.read_bytes(), name, contents.what)
        return contents.document(name)

    def layer(name: str) -> Layer:
        if name not in contents.layers:
            with place(name).open("rb") as file:
                contents.read(name, read_chunks(file), known)
        return contents.layers[name]

    try:
        return laid_out(contents.what, document, layer, wanted)
    except MISSHAPEN as error:
        raise broken(contents.what, f"it is no OCI layout: {why(error)}") from error
