"""Form in which a diff is stored: gzip, and limited in size."""

import codecs
import zlib
from collections.abc import Callable, Iterator

from app.reviews import DamagedReviewError
from app.space import MAX_DIFF_BYTES

CHUNK_BYTES = 16 * 1024
"""Maximum size of the parts in which a diff is read: all that one client can make the API hold."""
_GZIP = 31  # zlib's window size, for gzip's format
_MAGIC = b"\x1f\x8b"


def pack(diff: str) -> tuple[bytes, bool]:
    """Return a diff as it is stored, and whether it was cut at MAX_DIFF_BYTES."""
    text = diff.encode(errors="replace")  # JSON can escape surrogates, UTF-8 cannot encode them
    is_cut = len(text) > MAX_DIFF_BYTES
    if is_cut:
        text = text[: text.rfind(b"\n", 0, MAX_DIFF_BYTES) + 1] or text[:MAX_DIFF_BYTES]
        text = text.decode(errors="ignore").encode()
    return zlib.compress(text, wbits=_GZIP), is_cut


def chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield a stored diff's text in chunks of at most CHUNK_BYTES, in as little memory.

    Args:
        read: returns at most CHUNK_BYTES of the stored bytes from an offset, or b"" at their end.

    Raises:
        DamagedReviewError: the stored bytes are invalid, or gone before their end.
    """
    stored, offset = read(0), 0
    # Version 0.2 stored the text itself. UTF-8 never begins with gzip's magic bytes.
    gzip = zlib.decompressobj(wbits=_GZIP) if stored.startswith(_MAGIC) else None
    text = codecs.getincrementaldecoder("utf-8")()
    try:
        while stored:
            offset += len(stored)
            while stored:
                chunk = gzip.decompress(stored, CHUNK_BYTES) if gzip else stored
                stored = gzip.unconsumed_tail if gzip else b""
                text.decode(chunk)
                if chunk:
                    yield chunk
            stored = read(offset)
        text.decode(b"", final=True)
    except (zlib.error, ValueError) as error:
        raise DamagedReviewError(type(error).__name__) from None
    if gzip and not gzip.eof:
        raise DamagedReviewError("the end is missing")
