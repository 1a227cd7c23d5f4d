"""Canaries: random values that stand in for secrets, and the search for them in bytes."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

INFLATED_CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_INFLATED_BYTES = 1 << 28  # of one compressed file
GZIP_WBITS = 31  # zlib: a gzip header, and the largest window

Matches = set[tuple[str, str]]  # (name of a canary, form)


def make() -> str:
    """Return a value that cannot occur by chance: 96 random bits after a plain word."""
    return f"canary-{secrets.token_hex(12)}"


def forms(value: str) -> dict[bytes, str]:
    """Return the bytes that a value may be written as, each with the form's name."""
    raw = value.encode()
    encodings = {raw: "plain", raw.hex().encode(): "hex", raw.hex().upper().encode(): "hex"}
    # The base64 text depends on the value's offset in the encoded bytes, modulo 3. Leave out the
    # characters at both ends: they also depend on the neighbouring bytes (RFC 4648, section 4).
    for offset in range(3):
        padded = b"\0" * offset + raw
        first = -(-offset * 8 // 6)
        last = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encodings[encode(padded)[first:last]] = "base64"
    return encodings


class CanarySearch:
    """Search for canaries in streams of bytes of any length, in constant memory.

    Args:
        canaries: values by name.
    """

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self.names = tuple(sorted(canaries))
        self._needles = {
            needle: (name, form)
            for name, value in canaries.items()
            for needle, form in forms(value).items()
        }
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles)))
        self._overlap = max(map(len, self._needles), default=1) - 1

    def find_in_chunks(self, chunks: Iterable[bytes]) -> Matches:
        """Return the canaries in a stream."""
        matches: Matches = set()
        if not self._needles:
            return matches
        tail = b""  # the end of the previous chunk, where a canary may begin
        for chunk in chunks:
            window = tail + chunk
            matches.update(self._needles[needle] for needle in self._pattern.findall(window))
            tail = window[-self._overlap :]
        return matches

    def find_in_file(self, chunks: Iterator[bytes]) -> Matches:
        """Return the canaries in a file; a gzip file is inflated."""
        head = next(chunks, b"")
        content = chain([head], chunks)
        return self.find_in_chunks(_inflate(content) if head.startswith(GZIP_MAGIC) else content)


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip stream, until it is damaged or MAX_INFLATED_BYTES long."""
    decompressor = zlib.decompressobj(wbits=GZIP_WBITS)
    size = 0
    for chunk in chunks:
        pending = chunk
        while pending and size < MAX_INFLATED_BYTES:
            try:
                content = decompressor.decompress(pending, INFLATED_CHUNK_BYTES)
            except zlib.error:
                return
            size += len(content)
            yield content
            pending = decompressor.unconsumed_tail
            if decompressor.eof:  # another member may follow (RFC 1952, section 2.2)
                pending = decompressor.unused_data
                decompressor = zlib.decompressobj(wbits=GZIP_WBITS)
