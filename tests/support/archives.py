"""Builders of layers, `docker save` tars and OCI layouts for tests."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof.image.facts import ImageFacts
from imageproof.image.sources import read_images

Entries = Mapping[str, "bytes | tarfile.TarInfo"]
EMPTY = b"\0" * 1024  # a tar without entries


def tar(entries: Entries, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of these entries: content, or a TarInfo without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                archive.addfile(member(name, size=len(content)), io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    """Return the header of a tar entry of this kind, with these fields."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def digest(blob: bytes) -> str:
    """Return the digest of a blob as in OCI descriptors."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def blob_path(blob: bytes) -> str:
    """Return the path of a blob in an OCI layout."""
    return f"blobs/{digest(blob).replace(':', '/')}"


def image_config(layers: Sequence[bytes], **changes: Any) -> dict[str, Any]:
    """Return the configuration of an image with these layers."""
    history = [{"created_by": f"COPY {number} / # buildkit"} for number in range(len(layers))]
    return {
        "config": {"User": "10001:10001", "Cmd": ["python"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [*history, {"created_by": "CMD python", "empty_layer": True}],
    } | changes


def docker_save_tar(
    layers: Sequence[bytes], config: Any = None, tags: Sequence[str] = ("a:1",)
) -> bytes:
    """Return the tar of `docker save` for an image; with several tags, as many images.

    Args:
        layers: The layers, uncompressed.
        config: The image configuration (default: that of the layers).
        tags: A tag for each image.
    """
    config_blob = json.dumps(image_config(layers) if config is None else config).encode()
    image = {"Config": blob_path(config_blob), "Layers": [blob_path(layer) for layer in layers]}
    return tar(
        {
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
            "repositories": b"{}",
            **{blob_path(blob): blob for blob in (*layers, config_blob)},
            **json_entry("manifest.json", [image | {"RepoTags": [tag]} for tag in tags]),
        }
    )


def write_layout(
    folder: Path, layers: Sequence[bytes], stored_layers: Sequence[bytes] = ()
) -> Path:
    """Write an OCI layout of one image and an attestation.

    Args:
        folder: The layout's folder.
        layers: The layers, uncompressed.
        stored_layers: The layers as stored, such as compressed (default: uncompressed).
    """
    (folder / "blobs/sha256").mkdir(parents=True)

    def write_blob(blob: bytes, **fields: Any) -> dict[str, Any]:
        (folder / blob_path(blob)).write_bytes(blob)
        return {"digest": digest(blob), "size": len(blob)} | fields

    layer_descriptors = [write_blob(blob) for blob in stored_layers or layers]
    config = write_blob(json.dumps(image_config(layers)).encode())
    manifest = write_blob(json.dumps({"config": config, "layers": layer_descriptors}).encode())
    unknown = {"architecture": "unknown", "os": "unknown"}
    attestation = write_blob(b'{"layers": []}', platform=unknown)
    (folder / "index.json").write_text(json.dumps({"manifests": [manifest, attestation]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


FIRST, SECOND = tar({"a": b"1", "usr/bin/python": b"x" * 3000}), tar({"b": b"2"})
LAYERS = (FIRST, EMPTY, SECOND)


def read_image(path: Path, folder: Path) -> ImageFacts:
    """Read the image in an archive; its facts are cached in the folder."""
    engine: Any = None
    facts = read_images(engine, [str(path)], folder / "cache")[str(path)]
    assert facts is not None
    return facts


def write_file(folder: Path, content: bytes, name: str = "image.tar") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content)
    return path


def json_entry(name: str, document: Any) -> dict[str, bytes]:
    """Return an entry for `tar` with a JSON document."""
    return {name: json.dumps(document).encode()}


def layer_summary(facts: ImageFacts) -> list[tuple[str, int, str]]:
    """Return the diff_id, size and instruction of each layer."""
    return [(layer.diff_id, layer.size, layer.instruction) for layer in facts.layers]


LAYER_SUMMARY = [
    (digest(blob), len(blob), f"COPY {number} /") for number, blob in enumerate(LAYERS)
]


def edit_json(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Return a function that changes the JSON document `name` in a folder."""

    def edit(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return edit
