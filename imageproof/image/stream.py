"""Byte streams that are read once: an iterator as a file, hashing, decompression."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any

import zstandard

from imageproof.errors import ImageDamaged

CHUNK_BYTES = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WBITS = 31  # a gzip header, and the largest window (zlib manual, inflateInit2)
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
MAX_INFLATED_BYTES = 1 << 36  # of one stream: no real image has 64 GiB
MAX_ZSTD_WINDOW_BYTES = 1 << 27


class IteratorFile(io.RawIOBase):
    """Read-only file over an iterator of bytes; it cannot seek."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; return their number, 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Digest:
    """Size and SHA-256 of a stream; it does not hash if the digest is already known."""

    def __init__(self, known_digest: str | None = None) -> None:
        self._known_digest = known_digest
        self._sha = hashlib.sha256()
        self.size = 0

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks unchanged while counting and hashing them."""
        for chunk in chunks:
            if not self._known_digest:
                self._sha.update(chunk)
            self.size += len(chunk)
            yield chunk

    def __str__(self) -> str:
        """Return the digest as in OCI descriptors: `sha256:` and 64 hexadecimal digits."""
        return self._known_digest or f"sha256:{self._sha.hexdigest()}"


def read_chunks(file: IO[bytes], head: bytes = b"") -> Iterator[bytes]:
    """Yield `head`, which was read before, then the rest of the file."""
    if head:
        yield head
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def decompress(
    head: bytes, chunks: Iterator[bytes], action: str = "reading a layer"
) -> Iterator[bytes]:
    """Decompress a stream that may be gzip, zstd or uncompressed.

    Args:
        head: First bytes of the stream; `chunks` include them.
        chunks: The whole stream.
        action: What is being done, for errors.

    Raises:
        ImageDamaged: The stream is broken, or has more than MAX_INFLATED_BYTES.
    """
    if head.startswith(GZIP_MAGIC):
        chunks = _gunzip(chunks, action)
    elif head.startswith(ZSTD_MAGIC):
        chunks = _unzstd(chunks, action)
    return _bounded(chunks, action)


def _bounded(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_INFLATED_BYTES:
            raise ImageDamaged(
                action,
                f"it has more than {MAX_INFLATED_BYTES >> 30} GiB, decompressed",
                hint="no real image is so large: do not run it",
            )
        yield chunk


def _gunzip(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952), of one or several members, CHUNK_BYTES at a time."""
    inflate = zlib.decompressobj(wbits=GZIP_WBITS)
    in_member = False
    for chunk in chunks:
        rest = chunk
        while rest:
            if not in_member and not (rest := rest.lstrip(b"\0")):
                break  # padding between members and after the last one is allowed
            try:
                yield inflate.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise _broken("gzip", error, action) from error
            in_member = True
            rest = inflate.unconsumed_tail
            if inflate.eof:
                rest = inflate.unused_data
                inflate, in_member = zlib.decompressobj(wbits=GZIP_WBITS), False
    if in_member:
        raise _broken("gzip", "it ends in the middle", action)


def _unzstd(chunks: Iterator[bytes], action: str) -> Iterator[bytes]:
    """Decompress zstd (RFC 8878), of one or several frames.

    The library does not report a truncated frame. The caller notices it: the content has another
    digest than the configuration names, or is a tar without an end.
    """
    source: Any = IteratorFile(chunks)
    try:
        with zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).stream_reader(
            source, read_across_frames=True
        ) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                yield chunk
    except zstandard.ZstdError as error:
        raise _broken("zstd", error, action) from error


def _broken(compression: str, error: object, action: str) -> ImageDamaged:
    return ImageDamaged(
        action,
        f"its {compression} data is broken: {error}",
        hint="fetch or build the image again: this copy cannot be run",
    )
