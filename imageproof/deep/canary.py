"""Canaries: random values given in place of secrets, and looked for wherever one must not be."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

CHUNK = 1 << 20
GZIP = b"\x1f\x8b\x08"
INFLATED = 1 << 28  # bytes of one compressed file that are looked at


def make() -> str:
    """A value that occurs nowhere by chance: 96 random bits behind a plain word."""
    return f"canary-{secrets.token_hex(12)}"


def forms(value: str) -> dict[bytes, str]:
    """The bytes as which a value may lie somewhere, each with the form's name."""
    raw = value.encode()
    found = {raw: "plain", raw.hex().encode(): "hex", raw.hex().upper().encode(): "hex"}
    # In base64 the same bytes look different at each of three offsets; the characters at the ends
    # that the neighbouring bytes decide are left out (RFC 4648, section 4).
    for offset in range(3):
        padded = b"\0" * offset + raw
        first = -(-offset * 8 // 6)
        last = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found[encode(padded)[first:last]] = "base64"
    return found


class Search:
    """Looks for canaries in streams of bytes, whatever their length, in flat memory."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self.names = tuple(sorted(canaries))
        self._known = {
            needle: (name, form)
            for name, value in canaries.items()
            for needle, form in forms(value).items()
        }
        self._pattern = re.compile(b"|".join(map(re.escape, self._known)))
        self._overlap = max(map(len, self._known), default=1) - 1

    def chunks(self, chunks: Iterable[bytes]) -> set[tuple[str, str]]:
        """What was found in them: (name of the canary, form)."""
        found: set[tuple[str, str]] = set()
        if not self._known:
            return found
        left = b""
        for chunk in chunks:
            window = left + chunk
            found.update(self._known[match] for match in self._pattern.findall(window))
            left = window[-self._overlap :]
        return found

    def file(self, chunks: Iterator[bytes]) -> set[tuple[str, str]]:
        """What was found in a file; what is gzipped is looked into."""
        head = next(chunks, b"")
        rest = chain([head], chunks)
        return self.chunks(_inflated(rest) if head.startswith(GZIP) else rest)


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip stream, up to a bound; what is broken ends it."""
    inflate = zlib.decompressobj(wbits=31)
    given = 0
    for chunk in chunks:
        left = chunk
        while left and given < INFLATED:
            try:
                content = inflate.decompress(left, CHUNK)
            except zlib.error:
                return
            given += len(content)
            yield content
            left = inflate.unconsumed_tail
            if inflate.eof:  # another member may follow (RFC 1952, 2.2)
                left, inflate = inflate.unused_data, zlib.decompressobj(wbits=31)
