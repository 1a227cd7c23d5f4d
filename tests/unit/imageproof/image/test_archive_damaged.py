"""imageproof.image.archive and layout: what of a file or folder is not believed."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import ImageproofError, StackFailed
from imageproof.image import archive
from imageproof.image import oci_layout as layout_
from tests.support.archives import (
    FIRST,
    LAYERS,
    SECOND,
    config,
    digest,
    edit,
    in_file,
    in_json,
    layout,
    member,
    read_path,
    saved,
    tar,
)


def _layout_with(folder: Path, spoil: Any) -> Path:
    made = layout(folder / "layout", LAYERS)
    spoil(made)
    return made


def _blob(folder: Path, blob: bytes) -> Path:
    return folder / "blobs/sha256" / digest(blob).partition(":")[2]


def _link(folder: Path) -> None:
    place = _blob(folder, FIRST)
    place.rename(folder / "elsewhere")
    place.symlink_to(folder / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "blobs").rename(folder.parent / "elsewhere")
    (folder / "blobs").symlink_to(folder.parent / "elsewhere")


def _digest_of(value: Any) -> Any:
    return lambda document: document["manifests"][0].update(digest=value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: _blob(f, FIRST).write_bytes(SECOND), "is damaged"),
        (lambda f: _blob(f, FIRST).write_bytes(FIRST[:700]), "it is no tar"),
        (lambda f: _blob(f, FIRST).unlink(), "it has no file blobs/sha256/"),
        (_link, "it has no file blobs/sha256/"),
        (_link_folder, "it has no file blobs/sha256/"),
        (lambda f: (f / "index.json").unlink(), "it has no file index.json"),
        (lambda f: (f / "index.json").write_text("{"), "index.json is no JSON"),
        (lambda f: (f / "index.json").write_text("[]"), "it is no OCI layout"),
        (lambda f: (f / "index.json").write_text("[" * 100_000), "index.json is no JSON"),
        (lambda f: (f / "index.json").write_text("1" * 5_000_000), "no document index.json of at"),
        (edit("index.json", _digest_of("sha256:" + "0" * 64)), "it has no file blobs"),
        (edit("index.json", _digest_of("../../../../etc/passwd")), "is no digest"),
        (edit("index.json", _digest_of(7)), "it is no OCI layout"),
        (edit("index.json", lambda d: d.update(manifests=[])), "it holds 0 images"),
    ],
)
def test_a_layout_that_contradicts_itself_is_an_error(tmp_path, spoil, said):
    folder = _layout_with(tmp_path, spoil)
    with pytest.raises(ImageproofError) as caught:
        read_path(folder, tmp_path)
    assert said in caught.value.cause
    assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (config((FIRST, SECOND)), "not those that its configuration names"),
        ({}, "it is no image"),
        ({"rootfs": None}, "it is no image"),
        ([], "it is no image"),
        ({"rootfs": {"diff_ids": 7}}, "it is no image"),
        (config(LAYERS, config={"Env": 7}), "not one that the OCI image specification knows"),
        (config(LAYERS, config=[1]), "not one that the OCI image specification knows"),
        (config(LAYERS, config={"Healthcheck": {"Test": ["CMD"], "Interval": "x"}}), "not one"),
    ],
)
def test_a_configuration_that_is_none_is_an_error(tmp_path, document, said):
    with pytest.raises(StackFailed) as caught:
        read_path(in_file(tmp_path, saved(LAYERS, document)), tmp_path)
    assert said in caught.value.cause


def test_an_index_that_names_itself_ends(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS)
    inner: Sequence[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    nested = {"manifests": [inner[0]]}
    for _ in range(layout_.DEPTH + 1):
        text = json.dumps(nested).encode()
        (folder / "blobs/sha256" / digest(text).partition(":")[2]).write_bytes(text)
        nested = {"manifests": [{"digest": digest(text)}]}
    (folder / "index.json").write_text(json.dumps(nested))
    with pytest.raises(StackFailed, match="more than 4 deep"):
        read_path(folder, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "it has no document index.json"),
        (tar({"manifest.json": b"{nope"}), "manifest.json is no JSON"),
        (tar({"manifest.json": b"[" * 100_000}), "manifest.json is no JSON"),
        (tar({"manifest.json": b'[{"Config": "x", "Layers": []}]'}), "it has no document x"),
        (tar({"manifest.json": b'[{"Config": ["x"], "Layers": []}]'}), "it is no image"),
        (tar({"manifest.json": b'[{"Config": "manifest.json"}]'}), "it is no image"),
        (tar({"manifest.json": b"[1]"}), "it is no image"),
        (tar({"manifest.json": b"{}"}), "it holds 0 images"),
        (saved(LAYERS)[:2000], "unexpected end of data"),
        (gzip.compress(saved(LAYERS))[:-30], "reading image.tar: its gzip data is broken"),
        (b"no tar" * 1000, "reading image.tar: it is no tar"),
    ],
)
def test_an_archive_that_is_none_is_an_error(tmp_path, text, said):
    with pytest.raises(ImageproofError) as caught:
        read_path(in_file(tmp_path, text), tmp_path)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_broken_layer_is_named(tmp_path):
    blob = gzip.compress(FIRST)[:-9]
    folder = layout(tmp_path / "layout", (FIRST,), (blob,))
    with pytest.raises(StackFailed, match=digest(blob)[7:] + " of layout: its gzip data is broken"):
        read_path(folder, tmp_path)


def test_a_layer_that_is_known_is_not_taken_for_another_ones_content(tmp_path):
    """Else an archive could name a layer that was found good, and hold any other."""
    other = tar({"x": b"1", "usr/bin/python": b"x" * 3000})
    assert len(other) == len(FIRST)
    blob = saved(LAYERS)
    read_path(in_file(tmp_path, blob), tmp_path)
    forged = in_file(tmp_path, blob.replace(FIRST, other), "forged.tar")
    with pytest.raises(StackFailed, match=f"{digest(FIRST)} is damaged"):
        read_path(forged, tmp_path)
    folder = layout(tmp_path / "layout", LAYERS)
    _blob(folder, FIRST).write_bytes(other)
    with pytest.raises(StackFailed, match=f"{digest(FIRST)} is damaged"):
        read_path(folder, tmp_path)


def test_an_old_engines_configuration_has_the_digest_that_it_is_named_by(tmp_path):
    text = json.dumps(config((FIRST,))).encode()
    name = f"{digest(text)[7:]}.json"
    manifest = in_json("manifest.json", [{"Config": name, "Layers": ["0/layer.tar"]}])
    good = tar({"0/layer.tar": FIRST, name: text} | manifest)
    assert len(read_path(in_file(tmp_path, good), tmp_path).layers) == 1
    with pytest.raises(StackFailed, match="is damaged"):
        read_path(in_file(tmp_path, good.replace(b"10001", b"00000")), tmp_path)


@pytest.mark.parametrize(("bound", "most"), [("LAYERS", 2), ("ENTRIES", 2)])
def test_an_image_has_layers_and_entries_to_a_bound(tmp_path, monkeypatch, bound, most):
    monkeypatch.setattr(archive, bound, most)
    with pytest.raises(StackFailed, match="more than"):
        read_path(in_file(tmp_path, saved(LAYERS)), tmp_path)


def test_nothing_is_written_but_the_cache(tmp_path):
    entries = {"../../outside": b"x", "/absolute": b"x", "l": member("l", tarfile.SYMTYPE)}
    path = in_file(tmp_path, saved((tar(entries),)))
    before = set(tmp_path.iterdir())
    read_path(path, tmp_path)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "cache"}
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".json"}


def test_documents_without_end_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "DOCUMENTS_BYTES", 10_000)
    many = {f"{number}.json": b'{"x": "' + b"y" * 3000 + b'"}' for number in range(4)}
    with pytest.raises(StackFailed, match="documents have more than"):
        read_path(in_file(tmp_path, tar(many)), tmp_path)
