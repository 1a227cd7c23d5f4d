"""Reader of untrusted tars: entry by entry, in constant memory.

tarfile parses the headers. It reads them whole, so their size is bounded. If tools disagree about a
tar, this reader follows Go's archive/tar, which Docker uses.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

from imageproof.errors import ImageDamaged
from imageproof.image.stream import CHUNK_BYTES

# Bound on an entry's headers, with its long name and attributes. Python before 3.11.10 parses some
# of them in quadratic time (CVE-2024-6232).
MAX_HEADER_BYTES = 1 << 16
# Errors of tarfile for an invalid tar.
TAR_ERRORS = (
    tarfile.TarError,
    ValueError,
    OverflowError,
    RecursionError,
    EOFError,
    IndexError,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Entry = tuple[tarfile.TarInfo, Iterator[bytes]]  # header and content
NoteAnomaly = Callable[[str], None]


def read_entries(
    chunks: Iterator[bytes], action: str, note: NoteAnomaly | None = None
) -> Iterator[Entry]:
    """Yield each entry with its content, then read the stream to its end.

    Args:
        chunks: The tar, uncompressed.
        action: What is being done, for errors.
        note: Receives anomalies of the tar as a whole.

    Raises:
        ImageDamaged: The stream is not a valid tar.
    """
    file = _ForwardFile(chunks)
    try:
        yield from _entries(file, action)
    except TAR_ERRORS as error:
        raise _invalid(action, error) from error
    trailing = 0
    while chunk := file.take(CHUNK_BYTES):
        trailing += len(chunk) - chunk.count(0)
    if trailing and note:
        note("there is more than padding behind its last entry")


def printable(text: str) -> str:
    """Escape control characters and invalid Unicode, which could steer a terminal or a page."""
    if text.isprintable():  # fast path: nearly every name
        return text
    try:
        text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        text = text.encode(errors="backslashreplace").decode()
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _invalid(action: str, error: object) -> ImageDamaged:
    reason = printable(str(error) or type(error).__name__)
    return ImageDamaged(action, f"invalid tar: {reason}", hint="build or fetch the image again")


class _TarFile(tarfile.TarFile):
    """TarFile that ignores global headers, as Go's archive/tar does."""

    @property  # type: ignore[override]
    def pax_headers(self) -> dict[str, str]:
        return {}

    @pax_headers.setter
    def pax_headers(self, _: Any) -> None:
        pass


def _entries(file: _ForwardFile, action: str) -> Iterator[Entry]:
    source: Any = file
    try:
        # An explicit encoding: names do not depend on this machine's locale.
        archive = _TarFile(fileobj=source, encoding="utf-8", errors="surrogateescape")
    except tarfile.ReadError as error:
        if "empty file" in str(error):  # a tar without entries and without an end
            return
        raise
    while True:
        file.header_allowance = MAX_HEADER_BYTES
        member = archive.next()
        if member is None:
            break
        archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every member
        if member.size < 0:
            raise tarfile.ReadError("an entry has a negative size")
        stored = archive.offset - member.offset_data if member.issparse() else member.size
        yield member, _content(file, member, stored, action)
    # tarfile takes an invalid or truncated header for the end; the end is a block of zeros.
    block = file.last_read
    if block.count(0) != len(block) or len(block) not in (0, tarfile.BLOCKSIZE):
        raise tarfile.ReadError("invalid header")


def _content(
    file: _ForwardFile, member: tarfile.TarInfo, stored: int, action: str
) -> Iterator[bytes]:
    """Yield a file's `stored` bytes; for a sparse file, the data between its holes."""
    if not member.isfile():
        return
    file.seek(member.offset_data)
    remaining = stored
    while remaining > 0:
        chunk = file.take(min(remaining, CHUNK_BYTES))
        if not chunk:
            raise _invalid(action, "it ends in the middle of a file")
        remaining -= len(chunk)
        yield chunk


class _ForwardFile:
    """File for tarfile that only moves forward and bounds the bytes of headers."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._offset = 0  # in the buffer
        self._buffer_start = 0  # position of the buffer in the stream
        self.header_allowance = MAX_HEADER_BYTES
        self.last_read = b""  # result of the last `read`: the last header block

    def tell(self) -> int:
        return self._buffer_start + self._offset

    def seek(self, position: int, whence: int = 0) -> int:
        """Move forward, or back within the buffer."""
        while position - self._buffer_start > len(self._buffer) and self._refill():
            pass
        offset = position - self._buffer_start
        if offset < 0 or whence:
            raise tarfile.ReadError("a tar is read forward only")
        self._offset = min(offset, len(self._buffer))
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Read bytes of a header; tarfile calls this."""
        self.header_allowance -= size
        if size < 0 or self.header_allowance < 0:
            raise tarfile.ReadError(f"an entry has more than {MAX_HEADER_BYTES} bytes of headers")
        self.last_read = self.take(size)
        return self.last_read

    def take(self, size: int) -> bytes:
        """Read up to `size` bytes of content."""
        parts = []
        while size > 0:
            if self._offset == len(self._buffer) and not self._refill():
                break
            part = self._buffer[self._offset : self._offset + size]
            parts.append(part)
            self._offset += len(part)
            size -= len(part)
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def _refill(self) -> bool:
        """Load the next chunk into the buffer. Return False at the end of the stream."""
        chunk = next(filter(None, self._chunks), b"")  # empty chunks are skipped
        if not chunk:
            return False
        # Keep one byte: tarfile steps back by one to test whether the content is complete.
        last = self._buffer[-1:]
        self._buffer_start += len(self._buffer) - len(last)
        self._buffer = last + chunk
        self._offset = len(last)
        return True
