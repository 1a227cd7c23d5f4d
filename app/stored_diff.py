"""Form in which a diff is stored: gzip, and limited in size."""

import zlib

from app.reviews import DamagedReviewError
from app.space import MAX_DIFF_BYTES

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


def unpack(stored: bytes) -> str:
    """Return a stored diff; raise DamagedReviewError if it is invalid."""
    try:
        # Version 0.2 stored the text itself. UTF-8 never begins with gzip's magic bytes.
        packed = stored.startswith(_MAGIC)
        return (zlib.decompress(stored, wbits=_GZIP) if packed else stored).decode()
    except (zlib.error, ValueError) as error:
        raise DamagedReviewError(type(error).__name__) from None
