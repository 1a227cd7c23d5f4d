"""Streams of bytes that are read once: iterators as files, hashed as they pass, inflated."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any

import zstandard

from imageproof.errors import StackFailed

CHUNK = 1 << 18
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
LIMIT = 1 << 36  # bytes of one layer, inflated: an image of 64 GiB is no image


class Stream(io.RawIOBase):
    """An iterator of bytes as a file that can only be read on."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Digest:
    """Counts what passes through, and hashes it unless its digest is known."""

    def __init__(self, known: str | None = None) -> None:
        self._known = known
        self._sha = hashlib.sha256()
        self.size = 0

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks."""
        for chunk in chunks:
            if not self._known:
                self._sha.update(chunk)
            self.size += len(chunk)
            yield chunk

    def __str__(self) -> str:
        """As in OCI descriptors: `sha256:` and 64 hexadecimal digits."""
        return self._known or f"sha256:{self._sha.hexdigest()}"


def read_chunks(file: IO[bytes], head: bytes = b"") -> Iterator[bytes]:
    """What is left of a file, after what was read of it already."""
    if head:
        yield head
    while chunk := file.read(CHUNK):
        yield chunk


def decompress(head: bytes, chunks: Iterator[bytes], action: str = "reading a layer") -> Iterator[bytes]:
    """The content of a stream that begins with `head`, whatever it is compressed with.

    Raises StackFailed, in the words of `action`, for what is broken, and for what inflates beyond
    LIMIT.
    """
    if head.startswith(GZIP):
        chunks = _gunzipped(chunks, action)
    elif head.startswith(ZSTD):
        chunks = _unzstd(chunks, action)
    return _bounded(chunks, action)


def _bounded(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LIMIT:
            raise StackFailed(
                action,
                f"it has more than {LIMIT >> 30} GiB, inflated",
                hint="no honest image does; do not run it",
            )
        yield chunk


def _gunzipped(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    """RFC 1952; there may be several members, and a bounded part is inflated at a time."""
    inflate = zlib.decompressobj(wbits=31)
    begun = False
    for chunk in chunks:
        left = chunk
        while left:
            if not begun and not (left := left.lstrip(b"\0")):
                break  # padding between members, and behind the last one, is allowed
            try:
                yield inflate.decompress(left, CHUNK)
            except zlib.error as error:
                raise _broken("gzip", error, action) from error
            begun = True
            left = inflate.unconsumed_tail
            if inflate.eof:
                left = inflate.unused_data
                inflate, begun = zlib.decompressobj(wbits=31), False
    if begun:
        raise _broken("gzip", "it ends in the middle", action)


def _unzstd(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    """RFC 8878; several frames are read as one.

    The library takes a frame that is cut off for one that ends: what was read then has another
    digest than the configuration names, and the tar in it no end.
    """
    source: Any = Stream(chunks)
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            source, read_across_frames=True
        ) as reader:
            while chunk := reader.read(CHUNK):
                yield chunk
    except zstandard.ZstdError as error:
        raise _broken("zstd", error, action) from error


def _broken(kind: str, error: object, action: str) -> StackFailed:
    return StackFailed(
        action,
        f"its {kind} data is broken: {error}",
        hint="fetch or build the image anew: what is there now cannot be run either",
    )
