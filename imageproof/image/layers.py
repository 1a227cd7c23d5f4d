"""Reader of one layer: a tar, streamed once and never unpacked.

The image may be hostile: sizes are bounded, names are made printable, and entries that no honest
builder writes are noted as anomalies.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from imageproof.errors import ImageDamaged
from imageproof.image.facts import File, FileKind, Layer
from imageproof.image.packages import max_record_bytes, may_be_truncated, read_packages
from imageproof.image.secret_candidates import SecretSearch
from imageproof.image.stream import Digest
from imageproof.image.tar import printable, read_entries

MAX_ENTRIES = 500_000  # of one layer; a desktop's whole file system has half as many
MAX_PATH_BYTES = 4096  # PATH_MAX (limits.h)
MAX_ANOMALIES = 20  # of one layer
DIGEST_CHARACTERS = 32  # of a file's SHA-256: 128 bits are enough to tell files apart
MAX_TEXT_BYTES = 1 << 16
MAX_TOTAL_RECORD_BYTES = 1 << 26  # of a layer's package records, which are in memory together
XATTR_PREFIXES = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
# Small files that checks read.
TEXT_FILES = frozenset(
    {"etc/passwd", "etc/group", "etc/shadow", "etc/os-release", "usr/lib/os-release"}
)
# Whiteouts of a folder itself or its parent: some tools ignore them, others hide everything.
_BAD_WHITEOUTS = frozenset({".wh.", ".wh..", ".wh..."})


@dataclass
class _Reading:
    """Result so far while a layer is read."""

    action: str
    files: list[File] = field(default_factory=list)
    records: dict[str, bytes] = field(default_factory=dict)
    record_bytes: int = 0
    search: SecretSearch = field(default_factory=SecretSearch)
    texts: dict[str, str] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)
    anomaly_count: int = 0
    kinds: dict[str, FileKind] = field(default_factory=dict)  # by path

    def note(self, anomaly: str) -> None:
        """Count an anomaly and keep the first few: a hostile image may have a million."""
        self.anomaly_count += 1
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(anomaly)

    def bound_error(self, cause: str, hint: str) -> ImageDamaged:
        """Return the error for a layer beyond a bound."""
        return ImageDamaged(self.action, cause, hint=hint)


def read_layer(
    chunks: Iterator[bytes],
    action: str = "reading a layer",
    max_entries: int | None = None,
    diff_id: str | None = None,
) -> Layer:
    """Read a layer from its uncompressed tar (`imageproof.image.stream.decompress`).

    Args:
        chunks: The tar.
        action: What is being done, for errors.
        max_entries: Bound on the number of entries (default: MAX_ENTRIES).
        diff_id: Digest of the tar if it is known and trusted; it is not computed then.

    Raises:
        ImageDamaged: The tar is invalid or beyond a bound.
    """
    max_entries = MAX_ENTRIES if max_entries is None else max_entries
    digest = Digest(diff_id)
    reading = _Reading(action)
    for member, content in read_entries(digest.through(chunks), action, reading.note):
        if len(reading.files) >= max_entries:
            hint = "no service needs so many files: split the image, or do not run it"
            raise reading.bound_error(f"it has more than {max_entries:,} entries", hint)
        _read_entry(member, content, reading)
    if reading.anomaly_count > MAX_ANOMALIES:
        reading.anomalies.append(f"and {reading.anomaly_count - MAX_ANOMALIES} more")
    return Layer(
        diff_id=str(digest),
        size=digest.size,
        files=tuple(reading.files),
        packages=tuple(read_packages(reading.records)),
        secret_candidates=tuple(reading.search.candidates),
        texts=reading.texts,
        anomalies=tuple(reading.anomalies),
        unsearched=reading.search.unsearched,
    )


def _read_entry(member: tarfile.TarInfo, content: Iterator[bytes], reading: _Reading) -> None:
    path = _read_path(member, reading)
    kind = _kind(member)
    target = printable(member.linkname) if member.linkname else ""
    digest = _read_content(content, path, member, reading) if kind == "file" else ""
    if kind == "hardlink" and _normalize(target) not in reading.kinds:
        reading.note(f"{path} is a hard link to nothing in its layer")
    earlier_kind = reading.kinds.get(path)
    if earlier_kind and not earlier_kind == kind == "folder":  # a repeated folder is harmless
        reading.note(f"{path} is in the layer twice")
    reading.kinds[path] = kind
    reading.files.append(
        File(
            path=path,
            kind=kind,
            size=member.size if kind == "file" else 0,
            mode=member.mode & 0o7777,  # permission bits, setuid, setgid, sticky
            uid=member.uid,
            gid=member.gid,
            target=target,
            digest=digest,
            xattrs=tuple(sorted(_xattrs(member))) if member.pax_headers else (),
        )
    )


def _read_content(
    content: Iterator[bytes], path: str, member: tarfile.TarInfo, reading: _Reading
) -> str:
    """Scan a file for secrets, keep a text or package record, and return the file's digest."""
    sha = hashlib.sha256()
    reading.search.begin(path)
    max_bytes = MAX_TEXT_BYTES if path in TEXT_FILES else max_record_bytes(path)
    parts = []
    size = 0
    for chunk in content:
        sha.update(chunk)
        reading.search.feed(chunk)
        if size < max_bytes:
            parts.append(chunk[: max_bytes - size])
            size += len(parts[-1])
    reading.search.end()
    if max_bytes:
        _keep_content(b"".join(parts), path, member, reading)
    if member.issparse():
        reading.note(f"{path} has holes, which tools fill in different ways")
        return ""
    return sha.hexdigest()[:DIGEST_CHARACTERS]


def _keep_content(content: bytes, path: str, member: tarfile.TarInfo, reading: _Reading) -> None:
    if len(content) < member.size and not may_be_truncated(path):
        reading.note(f"{path} is too long to be read: {member.size:,} bytes")
    elif path in TEXT_FILES:
        reading.texts[path] = content.decode(errors="replace")
    else:
        reading.records[path] = content
        reading.record_bytes += len(content)
        if reading.record_bytes > MAX_TOTAL_RECORD_BYTES:
            cause = f"its package records have more than {MAX_TOTAL_RECORD_BYTES:,} bytes"
            raise reading.bound_error(cause, "no system has so many packages: do not run the image")


def _normalize(path: str) -> str:
    """Remove `./`, `//` and slashes at both ends; keep `..`."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _read_path(member: tarfile.TarInfo, reading: _Reading) -> str:
    """Return the entry's path as Docker uses it, and note its anomalies."""
    name = member.name
    may_be_long = len(name) * 4 > MAX_PATH_BYTES  # at most 4 bytes a character; encoding is slow
    if may_be_long and len(name.encode(errors="surrogateescape")) > MAX_PATH_BYTES:
        cause = f"a path has more than {MAX_PATH_BYTES} bytes: {printable(name[:60])}..."
        raise reading.bound_error(cause, "no file system accepts it: do not run the image")
    printable_name = printable(name)
    path = _normalize(printable_name)
    parts = path.split("/")
    if ".." in parts:
        reading.note(f"{path} leads out of its folder")
    if printable_name != name:
        reading.note(f"{path} has control characters or invalid Unicode in its name")
    if parts[-1] in _BAD_WHITEOUTS:
        reading.note(f"{path} is a whiteout of its own folder, of the parent, or of nothing")
    if member.islnk() and ".." in member.linkname.split("/"):
        reading.note(f"{path} is a hard link out of its folder")
    return path


def _kind(member: tarfile.TarInfo) -> FileKind:
    if member.isdir():
        return "folder"
    if member.issym():
        return "link"
    if member.islnk():
        return "hardlink"
    return "file" if member.isfile() else "other"


def _xattrs(member: tarfile.TarInfo) -> Iterator[str]:
    for name in member.pax_headers:
        for prefix in XATTR_PREFIXES:
            if name.startswith(prefix):
                yield printable(name.removeprefix(prefix))
