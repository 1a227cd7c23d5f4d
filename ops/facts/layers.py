"""Read an image's layers once: a streaming pass over `docker save`, kept on disk by diff_id.

Nothing is unpacked. A layer that is known already, because two images share it or it did not
change, is never read again; where all layers are known, the engine is not even asked.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ops.engine import translating
from ops.errors import StackFailed
from ops.facts.image import File, ImageFacts, Kind, Layer, from_inspect, instruction
from ops.redaction import redact

if TYPE_CHECKING:
    from ops.engine import Engine

FORMAT = 1  # of the files in the cache: one of another format is read anew
CHUNK = 1 << 16
GZIP = b"\x1f\x8b"
EMPTY_TAR = b"\0" * 512
# Instructions that change an image's configuration only (Dockerfile reference).
METADATA = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD"}
    | {"SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)


class Stream(io.RawIOBase):
    """An iterator of bytes as a file that can only be read on."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next."""
        while not self._left:
            try:
                self._left = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Digest:
    """Count and hash what passes: the size and diff_id of an uncompressed layer."""

    def __init__(self) -> None:
        self.size = 0
        self._sha = hashlib.sha256()

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks, counted."""
        for chunk in chunks:
            self.size += len(chunk)
            self._sha.update(chunk)
            yield chunk

    @property
    def diff_id(self) -> str:
        """The layer's identity (OCI image spec, config.md)."""
        return f"sha256:{self._sha.hexdigest()}"


def read_image(engine: Engine, reference: str, cache: Path) -> ImageFacts | None:
    """The facts of an image in the engine; None where it has no such image."""
    if engine.image(reference) is None:
        return None
    inspected = engine.inspect("image", [reference])[0]
    wanted = tuple(inspected["RootFS"]["Layers"])
    known = {diff_id: layer for diff_id in wanted if (layer := _cached(cache, diff_id))}
    if set(wanted) - known.keys():
        with translating(f"reading the layers of {reference}"):
            for layer in read_archive(engine.docker.image.save(reference) or iter(())):
                known[layer.diff_id] = layer
                _keep(cache, layer)
    missing = set(wanted) - known.keys()
    if missing:
        raise StackFailed(
            f"reading the layers of {reference}", f"the engine did not give {', '.join(missing)}"
        )
    history = tuple(map(instruction, engine.history(reference)))
    layers = tuple(
        # An instruction is shown in findings and reports; a build argument in it may be a secret.
        replace(known[diff_id], instruction=redact(made_by))
        for diff_id, made_by in zip(wanted, makers(history, len(wanted)), strict=True)
    )
    return from_inspect(reference, inspected, history, layers)


def makers(history: Sequence[str], count: int) -> list[str]:
    """The instruction that made each layer; blanks where history and layers do not agree.

    `docker history` does not say which entries have no layer; the instruction does.
    """
    made = [line for line in history if line.partition(" ")[0] not in METADATA]
    return made if len(made) == count else [""] * count


def read_archive(chunks: Iterator[bytes]) -> Iterator[Layer]:
    """Every layer of a `docker save` stream, in the order in which it comes."""
    stream = io.BufferedReader(Stream(iter(chunks)), CHUNK)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            blob = archive.extractfile(member) if member.isfile() else None
            if blob is None:
                continue
            if layer := _read_blob(blob):
                yield layer


def _read_blob(blob: IO[bytes]) -> Layer | None:
    """A layer, plain or gzip; None where the blob is a manifest or configuration (JSON)."""
    head = blob.read(512)
    if head[:1] in (b"{", b"[") and head[257:262] != b"ustar":  # POSIX.1-1988: a tar's magic
        return None
    chunks = _following(head, blob)
    if head.startswith(GZIP):
        chunks = _inflated(chunks)
    digest = Digest()
    raw = io.BufferedReader(Stream(digest.through(chunks)), CHUNK)
    try:
        with tarfile.open(fileobj=raw, mode="r|") as archive:
            files = tuple(_file(member) for member in archive)
    except tarfile.ReadError:
        if head != EMPTY_TAR:
            return None  # a small text such as oci-layout
        files = ()  # WORKDIR makes such a layer
    while raw.read(CHUNK):
        pass  # the padding behind the last entry belongs to the digest
    return Layer(digest.diff_id, digest.size, files)


def _following(head: bytes, blob: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := blob.read(CHUNK):
        yield chunk


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        yield inflate.decompress(chunk)
    yield inflate.flush()


def _file(member: tarfile.TarInfo) -> File:
    kind: Kind = "other"
    if member.isdir():
        kind = "folder"
    elif member.issym():
        kind = "link"
    elif member.islnk():
        kind = "hardlink"
    elif member.isfile():
        kind = "file"
    return File(
        path=member.name.removeprefix("./").strip("/"),
        kind=kind,
        size=member.size if kind == "file" else 0,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        target=member.linkname,
    )


def _place(cache: Path, diff_id: str) -> Path:
    return cache / f"layer-{diff_id.rpartition(':')[2]}.json"


def _cached(cache: Path, diff_id: str) -> Layer | None:
    """A layer that was read before; a damaged or older file counts as none."""
    try:
        document = json.loads(_place(cache, diff_id).read_text())
        if document["format"] != FORMAT:
            return None
        files = tuple(File(*entry) for entry in document["files"])
        return Layer(diff_id, int(document["size"]), files)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(cache: Path, layer: Layer) -> None:
    """Write a layer's facts whole or not at all."""
    cache.mkdir(parents=True, exist_ok=True)
    entries = [[f.path, f.kind, f.size, f.mode, f.uid, f.gid, f.target] for f in layer.files]
    document = {"format": FORMAT, "size": layer.size, "files": entries}
    descriptor, name = tempfile.mkstemp(dir=cache, suffix=".new")
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    Path(name).replace(_place(cache, layer.diff_id))
