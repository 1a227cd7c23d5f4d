"""Damaged and forged archives."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import ImageDamaged, ImageproofError
from imageproof.image import archive, oci_layout
from tests.support.archives import (
    FIRST,
    LAYERS,
    SECOND,
    blob_path,
    digest,
    docker_save_tar,
    edit_json,
    image_config,
    json_entry,
    member,
    read_image,
    tar,
    write_file,
    write_layout,
)


def _link_blob(folder: Path) -> None:
    path = folder / blob_path(FIRST)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "blobs").rename(folder.parent / "elsewhere")
    (folder / "blobs").symlink_to(folder.parent / "elsewhere")


def _set_digest(value: Any) -> Any:
    return lambda document: document["manifests"][0].update(digest=value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / blob_path(FIRST)).write_bytes(SECOND), "is damaged"),
        (lambda f: (f / blob_path(FIRST)).write_bytes(FIRST[:700]), "invalid tar"),
        (lambda f: (f / blob_path(FIRST)).unlink(), "it has no file blobs/sha256/"),
        (_link_blob, "it has no file blobs/sha256/"),
        (_link_folder, "it has no file blobs/sha256/"),
        (lambda f: (f / "index.json").unlink(), "it has no file index.json"),
        (lambda f: (f / "index.json").write_text("{"), "index.json is invalid JSON"),
        (lambda f: (f / "index.json").write_text("[]"), "it is not an OCI layout"),
        (lambda f: (f / "index.json").write_text("[" * 100_000), "index.json is invalid JSON"),
        (lambda f: (f / "index.json").write_text("1" * 5_000_000), "no document index.json of at"),
        (edit_json("index.json", _set_digest("sha256:" + "0" * 64)), "it has no file blobs"),
        (edit_json("index.json", _set_digest("../../../../etc/passwd")), "is an invalid digest"),
        (edit_json("index.json", _set_digest(7)), "it is not an OCI layout"),
        (edit_json("index.json", lambda d: d.update(manifests=[])), "it holds 0 images"),
    ],
)
def test_damaged_layout_is_refused(tmp_path, damage, message):
    folder = write_layout(tmp_path / "layout", LAYERS)
    damage(folder)
    with pytest.raises(ImageproofError) as caught:
        read_image(folder, tmp_path)
    assert message in caught.value.cause
    assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (image_config((FIRST, SECOND)), "not those of its configuration"),
        ({}, "it is not an image"),
        ({"rootfs": None}, "it is not an image"),
        ([], "it is not an image"),
        ({"rootfs": {"diff_ids": 7}}, "it is not an image"),
        (image_config(LAYERS, config={"Env": 7}), "does not follow the OCI image specification"),
        (image_config(LAYERS, config=[1]), "does not follow the OCI image specification"),
        (
            image_config(LAYERS, config={"Healthcheck": {"Test": ["CMD"], "Interval": "x"}}),
            "does not follow",
        ),
    ],
)
def test_invalid_configuration_is_refused(tmp_path, document, message):
    with pytest.raises(ImageDamaged) as caught:
        read_image(write_file(tmp_path, docker_save_tar(LAYERS, document)), tmp_path)
    assert message in caught.value.cause


def test_deeply_nested_index_is_refused(tmp_path):
    folder = write_layout(tmp_path / "layout", LAYERS)
    inner: Sequence[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    nested = {"manifests": [inner[0]]}
    for _ in range(oci_layout.MAX_INDEX_DEPTH + 1):
        text = json.dumps(nested).encode()
        (folder / blob_path(text)).write_bytes(text)
        nested = {"manifests": [{"digest": digest(text)}]}
    (folder / "index.json").write_text(json.dumps(nested))
    with pytest.raises(ImageDamaged, match="more than 4 deep"):
        read_image(folder, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "it has no document index.json"),
        (tar({"manifest.json": b"{nope"}), "manifest.json is invalid JSON"),
        (tar({"manifest.json": b"[" * 100_000}), "manifest.json is invalid JSON"),
        (tar({"manifest.json": b'[{"Config": "x", "Layers": []}]'}), "it has no document x"),
        (tar({"manifest.json": b'[{"Config": ["x"], "Layers": []}]'}), "it is not an image"),
        (tar({"manifest.json": b'[{"Config": "manifest.json"}]'}), "it is not an image"),
        (tar({"manifest.json": b"[1]"}), "it is not an image"),
        (tar({"manifest.json": b"{}"}), "it holds 0 images"),
        (docker_save_tar(LAYERS)[:2000], "unexpected end of data"),
        (
            gzip.compress(docker_save_tar(LAYERS))[:-30],
            "reading image.tar: its gzip data is broken",
        ),
        (b"no tar" * 1000, "reading image.tar: invalid tar"),
    ],
)
def test_invalid_archive_is_refused(tmp_path, text, message):
    with pytest.raises(ImageproofError) as caught:
        read_image(write_file(tmp_path, text), tmp_path)
    assert message in str(caught.value)
    assert caught.value.hint


def test_broken_layer_is_named(tmp_path):
    blob = gzip.compress(FIRST)[:-9]
    folder = write_layout(tmp_path / "layout", (FIRST,), (blob,))
    with pytest.raises(
        ImageDamaged, match=digest(blob)[7:] + " of layout: its gzip data is broken"
    ):
        read_image(folder, tmp_path)


def test_cached_layer_does_not_vouch_for_forged_content(tmp_path):
    """Otherwise an archive could name a verified layer and contain another."""
    other = tar({"x": b"1", "usr/bin/python": b"x" * 3000})
    assert len(other) == len(FIRST)
    blob = docker_save_tar(LAYERS)
    read_image(write_file(tmp_path, blob), tmp_path)
    forged = write_file(tmp_path, blob.replace(FIRST, other), "forged.tar")
    with pytest.raises(ImageDamaged, match=f"{digest(FIRST)} is damaged"):
        read_image(forged, tmp_path)
    folder = write_layout(tmp_path / "layout", LAYERS)
    (folder / blob_path(FIRST)).write_bytes(other)
    with pytest.raises(ImageDamaged, match=f"{digest(FIRST)} is damaged"):
        read_image(folder, tmp_path)


def test_configuration_of_engine_24_must_match_the_digest_in_its_name(tmp_path):
    text = json.dumps(image_config((FIRST,))).encode()
    name = f"{digest(text)[7:]}.json"
    manifest = json_entry("manifest.json", [{"Config": name, "Layers": ["0/layer.tar"]}])
    good = tar({"0/layer.tar": FIRST, name: text} | manifest)
    assert len(read_image(write_file(tmp_path, good), tmp_path).layers) == 1
    with pytest.raises(ImageDamaged, match="is damaged"):
        read_image(write_file(tmp_path, good.replace(b"10001", b"00000")), tmp_path)


@pytest.mark.parametrize("bound", ["MAX_LAYERS", "MAX_TOTAL_ENTRIES"])
def test_too_many_layers_or_entries_are_refused(tmp_path, monkeypatch, bound):
    monkeypatch.setattr(archive, bound, 2)
    with pytest.raises(ImageDamaged, match="more than"):
        read_image(write_file(tmp_path, docker_save_tar(LAYERS)), tmp_path)


def test_only_the_cache_is_written(tmp_path):
    entries = {"../../outside": b"x", "/absolute": b"x", "l": member("l", tarfile.SYMTYPE)}
    path = write_file(tmp_path, docker_save_tar((tar(entries),)))
    before = set(tmp_path.iterdir())
    read_image(path, tmp_path)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "cache"}
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".json"}


def test_too_many_document_bytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_DOCUMENT_BYTES", 10_000)
    many = {f"{number}.json": b'{"x": "' + b"y" * 3000 + b'"}' for number in range(4)}
    with pytest.raises(ImageDamaged, match="documents have more than"):
        read_image(write_file(tmp_path, tar(many)), tmp_path)
