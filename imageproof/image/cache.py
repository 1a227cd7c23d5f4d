"""Cache of layer facts by diff_id and of build histories by image id: a layer is read once.

The folder is the user's own (`imageproof.user_cache`), or None: then nothing is cached. A file has
two lines: a header (`_header`), then the facts. A damaged or outdated file is ignored. The entries
of a layer are stored by column, which halves the size and the time to read them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import zlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from imageproof import redaction
from imageproof.atomic_write import write_atomically
from imageproof.image import config, facts, layers, packages, secret_candidates, stream, tar
from imageproof.image.config import BuildHistory
from imageproof.image.facts import File, Layer, Package, SecretCandidate
from imageproof.redaction import redact
from imageproof.registry.reference import is_digest
from imageproof.user_cache import read_file

FORMAT = 5  # of cache files; raise it when their structure changes
# Modules whose code decides the facts of a layer: if one changes, cached facts are outdated.
RULE_MODULES = (config, facts, layers, packages, redaction, secret_candidates, stream, tar)
_FILE_FIELDS = tuple(item.name for item in fields(File))


def cache_path(cache: Path | None, digest: str, kind: str = "layer") -> Path | None:
    """Return the cache file of a layer or image; None for an invalid digest, or no cache.

    The digest may come from an untrusted image.
    """
    if cache is None or not is_digest(digest):
        return None
    return cache / f"{kind}-{digest.rpartition(':')[2]}.json"


def load_layer(cache: Path | None, diff_id: str) -> Layer | None:
    """Return a layer from the cache; None if it is not there."""
    document = _load(cache_path(cache, diff_id), diff_id)
    if document is None:
        return None
    columns = [document["files"][name] for name in _FILE_FIELDS]
    rows: Any = zip(*columns, strict=True)
    return Layer(
        diff_id=diff_id,
        size=document["size"],
        files=tuple(map(_file_from_row, rows)),
        packages=tuple(map(_package_from_row, document["packages"])),
        secret_candidates=tuple(SecretCandidate(*row) for row in document["secret_candidates"]),
        texts=document["texts"],
        anomalies=tuple(document["anomalies"]),
    )


def _file_from_row(row: Sequence[Any]) -> File:
    *values, xattrs = row
    return File(*values, tuple(xattrs))  # type: ignore[call-arg]  # a value for each field


def _package_from_row(row: Sequence[Any]) -> Package:
    kind, name, version, record, owns, source = row
    return Package(kind, name, version, record, tuple(owns), source)


def store_layer(cache: Path | None, layer: Layer) -> None:
    """Write a layer's facts to the cache, unless some of its files were not searched."""
    if layer.unsearched:
        return
    document: dict[str, Any] = {
        "size": layer.size,
        "files": {name: [getattr(file, name) for file in layer.files] for name in _FILE_FIELDS},
        "packages": [
            [p.kind, p.name, p.version, p.record, p.owns, p.source] for p in layer.packages
        ],
        "secret_candidates": [[s.path, s.rule] for s in layer.secret_candidates],
        "texts": dict(layer.texts),
        "anomalies": layer.anomalies,
    }
    _store(cache_path(cache, layer.diff_id), layer.diff_id, document)


def load_history(cache: Path | None, identity: str) -> BuildHistory | None:
    """Return the build history of the image with that id; None if it is not in the cache."""
    document = _load(cache_path(cache, identity, "image"), identity)
    if document is None:
        return None
    return BuildHistory(tuple(document["instructions"]), tuple(document["by_layer"]))


def store_history(cache: Path | None, identity: str, history: BuildHistory) -> None:
    """Write an image's build history to the cache, unless it contains a secret."""
    if any(redact(line) != line for line in history.instructions):
        return
    document = {"instructions": history.instructions, "by_layer": history.by_layer}
    _store(cache_path(cache, identity, "image"), identity, document)


@functools.cache
def rules_digest() -> str:
    """Return the digest of the rules that make facts: the source of RULE_MODULES."""
    sources = "".join(map(inspect.getsource, RULE_MODULES))
    return hashlib.sha256(sources.encode()).hexdigest()


def _load(path: Path | None, digest: str) -> Any:
    """Return the facts in a cache file; None if it is missing, damaged or outdated."""
    content = read_file(path) if path else None
    if content is None:
        return None
    header, _, body = content.partition(b"\n")
    try:
        if json.loads(header) == _header(digest, body):
            return json.loads(body)
    except (ValueError, RecursionError):
        pass
    return None


def _header(digest: str, body: bytes) -> dict[str, Any]:
    """Return the header of a cache file; it must be the same when the file is loaded."""
    checksum = zlib.crc32(body)
    return {"format": FORMAT, "rules": rules_digest(), "digest": digest, "crc32": checksum}


def _store(path: Path | None, digest: str, document: Any) -> None:
    if path is None:
        return
    body = json.dumps(document, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):  # a full disk: the facts are read again next time
        write_atomically(path, json.dumps(_header(digest, body)).encode() + b"\n" + body)
