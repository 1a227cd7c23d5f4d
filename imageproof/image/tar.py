"""The entries of a tar that somebody else made, one after the other, in flat memory.

tarfile reads the headers, of a file that only goes forward. What a header may take is bounded,
since a long name or an attribute is read whole. Where tools read one tar in two ways, it is read
as Go's archive/tar does, and with it Docker.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

from imageproof.errors import StackFailed
from imageproof.image.stream import CHUNK

# Of one entry's headers: a long name, its attributes. Python before 3.11.10 takes time by the
# square of their length for some (CVE-2024-6232).
HEADER_BYTES = 1 << 16
# What tarfile raises for a tar that is none, besides its own errors.
BROKEN = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError, IndexError)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Entry = tuple[tarfile.TarInfo, Iterator[bytes]]
Note = Callable[[str], None]


def read_entries(chunks: Iterator[bytes], action: str, note: Note | None = None) -> Iterator[Entry]:
    """Each entry with its content, which is to be read before the next one, or not at all.

    All chunks are read, to the last. What no honest builder writes between the entries is told to
    `note`. Raises StackFailed, in the words of `action`, for what is no tar.
    """
    stream = _Forward(chunks)
    try:
        yield from _entries(stream, action)
    except BROKEN as error:
        raise _broken(action, error) from error
    behind = 0
    while chunk := stream.take(CHUNK):
        behind += len(chunk) - chunk.count(0)
    if behind and note:
        note("there is more than padding behind its last entry")


def _broken(action: str, error: object) -> StackFailed:
    said = printable(str(error) or type(error).__name__)
    return StackFailed(action, f"it is no tar: {said}", hint="build or fetch the image anew")


class _Archive(tarfile.TarFile):
    """Applies no global headers: archive/tar does not either, and takes other names for true."""

    @property  # type: ignore[override]
    def pax_headers(self) -> dict[str, str]:
        return {}

    @pax_headers.setter
    def pax_headers(self, _: Any) -> None:
        pass


def _entries(stream: _Forward, action: str) -> Iterator[Entry]:
    source: Any = stream
    try:
        # The same names whatever this machine's locale is.
        archive = _Archive(fileobj=source, encoding="utf-8", errors="surrogateescape")
    except tarfile.ReadError as error:
        if "empty file" in str(error):  # not even the two blocks of zeros
            return
        raise
    while True:
        stream.allowance = HEADER_BYTES
        member = archive.next()
        if member is None:
            break
        archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every one
        if member.size < 0:
            raise tarfile.ReadError("an entry has less than no bytes")
        stored = archive.offset - member.offset_data if member.issparse() else member.size
        yield member, _content(stream, member, stored, action)
    # tarfile takes a header that is none, or half a one, for the end.
    if stream.last.count(0) != len(stream.last) or len(stream.last) not in (0, tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a header in it is none")


def _content(stream: _Forward, member: tarfile.TarInfo, stored: int, action: str) -> Iterator[bytes]:
    """What is stored of a file; of a sparse one, what lies between the holes."""
    if not member.isfile():
        return
    stream.seek(member.offset_data)
    left = stored
    while left > 0:
        chunk = stream.take(min(left, CHUNK))
        if not chunk:
            raise _broken(action, "it ends in the middle of a file")
        left -= len(chunk)
        yield chunk


def printable(name: str) -> str:
    """A name without what would steer a terminal or a page, and without half characters."""
    if name.isprintable():  # nearly every one is
        return name
    try:
        text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a half character that stands for no byte
        text = name.encode(errors="backslashreplace").decode()
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class _Forward:
    """The file that tarfile reads: it goes forward only, and headers may not take for ever."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0  # in the buffer
        self._before = 0  # bytes of the stream before the buffer
        self.allowance = HEADER_BYTES
        self.last = b""  # what was read as a header

    def tell(self) -> int:
        return self._before + self._at

    def seek(self, position: int, whence: int = 0) -> int:
        while position - self._before > len(self._buffer) and self._refill():
            pass
        at = position - self._before
        if at < 0 or whence:
            raise tarfile.ReadError("a tar is read forward only")
        self._at = min(at, len(self._buffer))
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        self.allowance -= size
        if size < 0 or self.allowance < 0:
            raise tarfile.ReadError(f"the headers of an entry take more than {HEADER_BYTES} bytes")
        self.last = self.take(size)
        return self.last

    def take(self, size: int) -> bytes:
        """Read content: bounded by what is asked for."""
        parts = []
        while size > 0:
            if self._at == len(self._buffer) and not self._refill():
                break
            part = self._buffer[self._at : self._at + size]
            parts.append(part)
            self._at += len(part)
            size -= len(part)
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def _refill(self) -> bool:
        chunk = next(self._chunks, b"")
        while chunk == b"":
            try:
                chunk = next(self._chunks)
            except StopIteration:
                return False
        kept = self._buffer[-1:]  # tarfile steps back by one, to see whether the content is whole
        self._before += len(self._buffer) - len(kept)
        self._buffer = kept + chunk
        self._at = len(kept)
        return True
