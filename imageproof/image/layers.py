"""Read one layer: a tar, streamed once, of which nothing is unpacked.

Who made the image decides what is in the tar, and need not be a friend: what a header may take is
bounded, names are made harmless, and what no honest builder writes is noted as an anomaly.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from imageproof.errors import StackFailed
from imageproof.image import packages, secret_candidates
from imageproof.image.facts import File, Kind, Layer, SecretCandidate
from imageproof.image.stream import Digest
from imageproof.image.tar import printable, read_entries

ENTRIES = 500_000  # of one layer; a desktop's whole file system has half as many
PATH_BYTES = 4096  # PATH_MAX (limits.h)
NOTED = 20  # anomalies of one layer
TEXT_BYTES = 1 << 16
RECORDS_BYTES = 1 << 26  # of all package records of a layer: they are in memory together
XATTR = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")
# Small files that checks read.
TEXTS = frozenset({"etc/passwd", "etc/group", "etc/shadow", "etc/os-release", "usr/lib/os-release"})
# Whiteouts of a folder itself or of the one above it hide nothing in one tool, and all in another.
_BAD_WHITEOUTS = frozenset({".wh.", ".wh..", ".wh..."})


@dataclass
class _Reading:
    """What is known of a layer so far."""

    action: str
    files: list[File] = field(default_factory=list)
    records: dict[str, bytes] = field(default_factory=dict)
    recorded: int = 0  # bytes
    secret_candidates: list[SecretCandidate] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    anomalies: list[str] = field(default_factory=list)
    odd: int = 0
    seen: dict[str, Kind] = field(default_factory=dict)

    def note(self, anomaly: str) -> None:
        """Keep the first few: a hostile image may have a million."""
        self.odd += 1
        if len(self.anomalies) < NOTED:
            self.anomalies.append(anomaly)

    def beyond(self, what: str, hint: str) -> StackFailed:
        """The error for a layer that is beyond a bound."""
        return StackFailed(self.action, what, hint=hint)


def read_layer(
    chunks: Iterator[bytes],
    action: str = "reading a layer",
    entries: int | None = None,
    diff_id: str | None = None,
) -> Layer:
    """A layer out of the bytes of its tar: see imageproof.image.stream.plain for what is compressed.

    `entries`: how many it may have. `diff_id`: where it is known, and to be believed. Raises
    StackFailed, in the words of `action`, for what is broken, or beyond the bounds.
    """
    entries = ENTRIES if entries is None else entries
    digest = Digest(diff_id)
    reading = _Reading(action)
    for member, content in read_entries(digest.through(chunks), action, reading.note):
        if len(reading.files) >= entries:
            hint = "no service needs so many files; split it, or do not run it"
            raise reading.beyond(f"it has more than {entries:,} entries", hint)
        _entry(member, content, reading)
    if reading.odd > NOTED:
        reading.anomalies.append(f"and {reading.odd - NOTED} more")
    return Layer(
        diff_id=str(digest),
        size=digest.size,
        files=tuple(reading.files),
        packages=tuple(packages.read(reading.records)),
        secret_candidates=tuple(reading.secret_candidates),
        texts=reading.texts,
        anomalies=tuple(reading.anomalies),
    )


def _entry(member: tarfile.TarInfo, content: Iterator[bytes], reading: _Reading) -> None:
    path = _path(member, reading)
    kind = _kind(member)
    target = printable(member.linkname) if member.linkname else ""
    digest = _content(content, path, member, reading) if kind == "file" else ""
    if kind == "hardlink" and _normal(target) not in reading.seen:
        reading.note(f"{path} is a hard link to nothing in its layer")
    if reading.seen.get(path, kind) != kind or (path in reading.seen and kind != "folder"):
        reading.note(f"{path} is there twice")
    reading.seen[path] = kind
    reading.files.append(
        File(
            path=path,
            kind=kind,
            size=member.size if kind == "file" else 0,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            target=target,
            digest=digest,
            xattrs=tuple(sorted(_xattrs(member))) if member.pax_headers else (),
        )
    )


def _content(
    content: Iterator[bytes], path: str, member: tarfile.TarInfo, reading: _Reading
) -> str:
    """The digest of a file; keeps it where it says something, and looks for secrets on the way."""
    sha = hashlib.sha256()
    look = secret_candidates.Look(path)
    room = TEXT_BYTES if path in TEXTS else packages.room(path)
    kept = []
    held = 0
    for chunk in content:
        sha.update(chunk)
        look.at(chunk)
        if held < room:
            kept.append(chunk[: room - held])
            held += len(kept[-1])
    if len(reading.secret_candidates) < secret_candidates.MOST:
        reading.secret_candidates += look.found()
    if room:
        _keep(b"".join(kept), path, member, reading)
    if member.issparse():
        reading.note(f"{path} has holes, which tools fill in different ways")
        return ""
    return sha.hexdigest()[:32]


def _keep(content: bytes, path: str, member: tarfile.TarInfo, reading: _Reading) -> None:
    if len(content) < member.size and not packages.may_be_cut(path):
        reading.note(f"{path} is too long to be read: {member.size:,} bytes")
    elif path in TEXTS:
        reading.texts[path] = content.decode(errors="replace")
    else:
        reading.records[path] = content
        reading.recorded += len(content)
        if reading.recorded > RECORDS_BYTES:
            what = f"its package records have more than {RECORDS_BYTES:,} bytes"
            raise reading.beyond(what, "no system has so many packages; do not run it")


def _normal(path: str) -> str:
    """A path without what says nothing: `./`, `//`, a slash at either end. `..` stays."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _path(member: tarfile.TarInfo, reading: _Reading) -> str:
    """The entry's path, as Docker would use it; what is odd about it is noted."""
    raw = member.name
    if len(raw) * 4 > PATH_BYTES and len(raw.encode(errors="surrogateescape")) > PATH_BYTES:
        what = f"a path has more than {PATH_BYTES} bytes: {printable(raw[:60])}..."
        raise reading.beyond(what, "no file system takes it; do not run the image")
    shown = printable(raw)
    path = _normal(shown)
    parts = path.split("/")
    if ".." in parts:
        reading.note(f"{path} leads out of its folder")
    if shown != raw:
        reading.note(f"{path} has characters in its name that no file should have")
    if parts[-1] in _BAD_WHITEOUTS:
        reading.note(f"{path} hides a folder that it lies in, or nothing")
    if member.islnk() and ".." in member.linkname.split("/"):
        reading.note(f"{path} is a hard link out of its folder")
    return path


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isdir():
        return "folder"
    if member.issym():
        return "link"
    if member.islnk():
        return "hardlink"
    return "file" if member.isfile() else "other"


def _xattrs(member: tarfile.TarInfo) -> Iterator[str]:
    for name in member.pax_headers:
        for prefix in XATTR:
            if name.startswith(prefix):
                yield printable(name.removeprefix(prefix))
