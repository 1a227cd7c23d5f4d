"""What was read of a layer, kept on disk by its diff_id: no layer is ever read twice.

By columns, since a layer has thousands of files: half as long, and read twice as fast, as one
object a file. A file that is damaged, or of another format, counts as none: its first line has the
checksum of the second. What made an image is kept beside, by the image's id.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from imageproof.atomic_write import write_whole
from imageproof.image.config import Steps
from imageproof.image.facts import File, Layer, Package, SecretCandidate
from imageproof.redaction import redact

FORMAT = 5  # raised whenever what is read of a layer or image changes
_NAMES = tuple(item.name for item in fields(File))
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def place(cache: Path, digest: str, kind: str = "layer") -> Path | None:
    """The file of a layer or image; None for what is no digest: it comes from an image, and may
    be anything."""
    if not _DIGEST.fullmatch(digest):
        return None
    return cache / f"{kind}-{digest.rpartition(':')[2]}.json"


def find(cache: Path, diff_id: str) -> Layer | None:
    """A layer that was read before."""
    document = _load(place(cache, diff_id), diff_id)
    if document is None:
        return None
    columns = [document["files"][name] for name in _NAMES]
    rows: Any = zip(*columns, strict=True)
    return Layer(
        diff_id=diff_id,
        size=document["size"],
        files=tuple(_file(row) for row in rows),
        packages=tuple(map(_package, document["packages"])),
        secret_candidates=tuple(SecretCandidate(*s) for s in document["secret_candidates"]),
        texts=document["texts"],
        anomalies=tuple(document["anomalies"]),
    )


def _file(row: Sequence[Any]) -> File:
    *most, xattrs = row
    return File(*most, tuple(xattrs))  # type: ignore[call-arg]  # in the order of its fields


def _package(row: Sequence[Any]) -> Package:
    kind, name, version, record, owns, source = row
    return Package(kind, name, version, record, tuple(owns), source)


def keep(cache: Path, layer: Layer) -> None:
    """Write a layer's facts, whole or not at all."""
    document: dict[str, Any] = {
        "size": layer.size,
        "files": {name: [getattr(file, name) for file in layer.files] for name in _NAMES},
        "packages": [
            [p.kind, p.name, p.version, p.record, p.owns, p.source] for p in layer.packages
        ],
        "secret_candidates": [[s.path, s.rule] for s in layer.secret_candidates],
        "texts": dict(layer.texts),
        "anomalies": layer.anomalies,
    }
    _store(place(cache, layer.diff_id), layer.diff_id, document)


def find_steps(cache: Path, identity: str) -> Steps | None:
    """What made an image, as it was read before."""
    document = _load(place(cache, identity, "image"), identity)
    if document is None:
        return None
    return Steps(tuple(document["history"]), tuple(document["made"]))


def keep_steps(cache: Path, identity: str, steps: Steps) -> None:
    """Write what made an image, whole or not at all; not where a secret is in it."""
    if any(redact(line) != line for line in steps.history):
        return
    document = {"history": steps.history, "made": steps.made}
    _store(place(cache, identity, "image"), identity, document)


def _load(path: Path | None, digest: str) -> Any:
    """The second line, where the first one vouches for it."""
    if path is None:
        return None
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        if json.loads(head) == _head(digest, body):
            return json.loads(body)
    except (OSError, ValueError, RecursionError):
        pass
    return None


def _head(digest: str, body: bytes) -> dict[str, Any]:
    return {"format": FORMAT, "digest": digest, "crc32": zlib.crc32(body)}


def _store(path: Path | None, digest: str, document: Any) -> None:
    if path is None:
        return
    body = json.dumps(document, separators=(",", ":")).encode()
    write_whole(path, json.dumps(_head(digest, body)).encode() + b"\n" + body)
