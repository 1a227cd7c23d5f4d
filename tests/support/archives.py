"""What the tests of the reader share: layers, `docker save` archives and OCI layouts, made here."""

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
    """A tar of these entries: content, or an entry without any."""
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
    """An entry without content."""
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def digest(blob: bytes) -> str:
    """As OCI descriptors name it."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def config(layers: Sequence[bytes], **changes: Any) -> dict[str, Any]:
    """The configuration of an image with these layers."""
    history = [{"created_by": f"COPY {number} / # buildkit"} for number in range(len(layers))]
    return {
        "config": {"User": "10001:10001", "Cmd": ["python"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [*history, {"created_by": "CMD python", "empty_layer": True}],
    } | changes


def saved(layers: Sequence[bytes], document: Any = None, tags: Sequence[str] = ("a:1",)) -> bytes:
    """What `docker save` writes of an image; several tags: as many images."""
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
    """An OCI layout of one image; `packed` are the layers as they are stored."""
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
    engine: Any = None  # no engine is asked for a file
    found = read_images(engine, [str(path)], folder / "cache")[str(path)]
    assert found is not None
    return found


def in_file(folder: Path, blob: bytes, name: str = "image.tar") -> Path:
    path = folder / name
    path.write_bytes(blob)
    return path


def in_json(name: str, document: Any) -> dict[str, bytes]:
    return {name: json.dumps(document).encode()}


def seen(facts: ImageFacts) -> list[tuple[str, int, str]]:
    return [(layer.diff_id, layer.size, layer.instruction) for layer in facts.layers]


WANTED = [(digest(blob), len(blob), f"COPY {n} /") for n, blob in enumerate(LAYERS)]


def edit(name: str, change: Any) -> Any:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return spoil
