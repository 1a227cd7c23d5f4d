"""Builders of layers, `docker save` tars and OCI layouts for tests."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof.image.facts import ImageFacts
from imageproof.image.sources import read_images

Entries = Mapping[str, "bytes | tarfile.TarInfo"]
EMPTY = b"\0" * 1024  # the tar of no entry


def tar(entries: Entries, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of these entries: content, or a TarInfo without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **changes: Any) -> tarfile.TarInfo:
    """Return an entry without content."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def digest(blob: bytes) -> str:
    """Return the digest of a blob as in OCI descriptors."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def config(layers: Sequence[bytes], **changes: Any) -> dict[str, Any]:
    """Return the configuration of an image with these layers."""
    history = [{"created_by": f"COPY {number} / # buildkit"} for number in range(len(layers))]
    return {
        "config": {"User": "10001:10001", "Cmd": ["python"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [*history, {"created_by": "CMD python", "empty_layer": True}],
    } | changes


def saved(layers: Sequence[bytes], document: Any = None, tags: Sequence[str] = ("a:1",)) -> bytes:
    """Return a `docker save` tar of an image; several tags: as many images."""
    text = json.dumps(config(layers) if document is None else document).encode()
    names = [f"blobs/{digest(layer).replace(':', '/')}" for layer in layers]
    about = {"Config": f"blobs/{digest(text).replace(':', '/')}", "Layers": names}
    manifest = [about | {"RepoTags": [tag]} for tag in tags]
    blobs = dict(zip(names, layers, strict=True)) | {about["Config"]: text}
    extra = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "repositories": b"{}"}
    return tar(extra | blobs | {"manifest.json": json.dumps(manifest).encode()})


def layout(
    folder: Path, layers: Sequence[bytes], packed: Sequence[bytes] = (), **index: Any
) -> Path:
    """Write an OCI layout of one image; `packed`: the layers as stored, compressed."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(blob: bytes, **about: Any) -> dict[str, Any]:
        (blobs / digest(blob).partition(":")[2]).write_bytes(blob)
        return {"digest": digest(blob), "size": len(blob)} | about

    stored = [put(blob) for blob in packed or layers]
    about = put(json.dumps(config(layers)).encode())
    manifest = put(json.dumps({"config": about, "layers": stored}).encode())
    attestation = put(b'{"layers": []}', platform={"architecture": "unknown", "os": "unknown"})
    document = {"manifests": [manifest, attestation]} | index
    (folder / "index.json").write_text(json.dumps(document))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


FIRST, SECOND = tar({"a": b"1", "usr/bin/python": b"x" * 3000}), tar({"b": b"2"})
LAYERS = (FIRST, EMPTY, SECOND)


def read_path(path: Path, folder: Path) -> ImageFacts:
    engine: Any = None
    facts = read_images(engine, [str(path)], folder / "cache")[str(path)]
    assert facts is not None
    return facts


def in_file(folder: Path, blob: bytes, name: str = "image.tar") -> Path:
    path = folder / name
    path.write_bytes(blob)
    return path


def in_json(name: str, document: Any) -> dict[str, bytes]:
    return {name: json.dumps(document).encode()}


def layer_summary(facts: ImageFacts) -> list[tuple[str, int, str]]:
    return [(layer.diff_id, layer.size, layer.instruction) for layer in facts.layers]


EXPECTED = [(digest(blob), len(blob), f"COPY {n} /") for n, blob in enumerate(LAYERS)]


def edit(name: str, change: Any) -> Any:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return spoil
