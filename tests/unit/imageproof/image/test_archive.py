"""imageproof.image.archive and layout: images in files and folders."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from imageproof.errors import UsageError
from imageproof.image import archive, sources
from imageproof.image import oci_layout as layout_
from imageproof.image.sources import is_archive
from tests.support.archives import (
    EMPTY,
    FIRST,
    LAYERS,
    SECOND,
    WANTED,
    config,
    digest,
    edit,
    in_file,
    in_json,
    layout,
    member,
    read_path,
    saved,
    seen,
    tar,
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_saved_image_is_read_from_a_file(tmp_path, pack):
    facts = read_path(in_file(tmp_path, pack(saved(LAYERS))), tmp_path)
    assert seen(facts) == WANTED
    assert (facts.user, facts.command, facts.environment) == (
        "10001:10001",
        ("python",),
        {"A": "b"},
    )
    assert facts.history == ("COPY 0 /", "COPY 1 /", "COPY 2 /", "CMD python")
    assert sorted(facts.files) == ["a", "b", "usr/bin/python"]


def test_an_old_engines_archive_is_read(tmp_path):
    """Before engine 25: a folder a layer, the configuration beside them."""
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": ["a:1"], "Layers": names}]
    blobs = dict(zip(names, LAYERS, strict=True))
    blobs |= {"0/VERSION": b"1.0", "0/json": b"{}", "abc.json": json.dumps(config(LAYERS)).encode()}
    blob = tar(blobs | {"manifest.json": json.dumps(manifest).encode()})
    assert seen(read_path(in_file(tmp_path, blob), tmp_path)) == WANTED


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_an_oci_layout_is_read(tmp_path, pack):
    folder = layout(tmp_path / "layout", LAYERS, [pack(blob) for blob in LAYERS])
    assert seen(read_path(folder, tmp_path)) == WANTED


def test_an_oci_layout_may_lie_in_a_tar(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS, [gzip.compress(blob) for blob in LAYERS])
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert seen(read_path(in_file(tmp_path, tar(files)), tmp_path)) == WANTED


def test_an_index_in_an_index_is_followed_to_this_machines_platform(tmp_path, monkeypatch):
    monkeypatch.setattr(layout_.platform, "machine", lambda: "aarch64")
    folder = layout(tmp_path / "layout", LAYERS)
    inner = json.loads((folder / "index.json").read_text())
    other = {"digest": digest(b"nothing"), "platform": {"architecture": "amd64"}}
    inner["manifests"][0]["platform"] = {"architecture": "arm64", "os": "linux"}
    text = json.dumps({"manifests": [other, *inner["manifests"]]}).encode()
    (folder / "blobs/sha256" / digest(text).partition(":")[2]).write_bytes(text)
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": digest(text)}]}))
    assert seen(read_path(folder, tmp_path)) == WANTED


def test_a_layer_that_is_there_twice_is_a_link_in_an_old_engines_archive(tmp_path):
    twice = (FIRST, SECOND, FIRST)
    link = member("2/layer.tar", tarfile.SYMTYPE, linkname="../0/layer.tar")
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": None, "Layers": names}]
    blobs = {names[0]: FIRST, names[1]: SECOND, names[2]: link}
    blobs |= {"abc.json": json.dumps(config(twice)).encode()}
    facts = read_path(in_file(tmp_path, tar(blobs | in_json("manifest.json", manifest))), tmp_path)
    assert [layer.diff_id for layer in facts.layers] == list(map(digest, twice))


def test_the_identity_is_the_digest_of_the_configuration(tmp_path):
    text = json.dumps(config(LAYERS)).encode()
    packed = read_path(in_file(tmp_path, saved(LAYERS)), tmp_path)
    in_folder = read_path(layout(tmp_path / "layout", LAYERS), tmp_path)
    assert packed.identity == in_folder.identity == digest(text)


def test_a_bill_of_materials_beside_an_image_is_no_document_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "DOCUMENT_BYTES", 1000)
    blob = saved(LAYERS)[: -len(EMPTY)].rstrip(b"\0")
    blob += b"\0" * (-len(blob) % 512) + tar({"sbom": b'{"x": "' + b"y" * 3000 + b'"}'})
    assert seen(read_path(in_file(tmp_path, blob), tmp_path)) == WANTED


def _two_in_one_layout(folder: Path, **second: Any) -> Path:
    """A layout that has the images of two; `second` is said of the second one."""
    made, other = layout(folder / "one", LAYERS), layout(folder / "two", (SECOND,))
    for path in (other / "blobs/sha256").iterdir():
        (made / "blobs/sha256" / path.name).write_bytes(path.read_bytes())
    added = json.loads((other / "index.json").read_text())["manifests"][0] | second
    edit("index.json", lambda d: d["manifests"].append(added))(made)
    return made


def test_several_images_are_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="it holds 2 images for this machine: a:1, b:2") as caught:
        read_path(in_file(tmp_path, saved(LAYERS, tags=("a:1", "b:2"))), tmp_path)
    assert caught.value.hint
    name = {"annotations": {"org.opencontainers.image.ref.name": "shop:2"}}
    with pytest.raises(UsageError, match=r"2 images for this machine: sha256:\w+..., shop:2"):
        read_path(_two_in_one_layout(tmp_path, **name), tmp_path)


@pytest.mark.parametrize(
    "platform", [{"os": "windows", "architecture": "amd64"}, {"architecture": "s390x"}]
)
def test_an_image_of_another_platform_is_passed_by(tmp_path, platform, monkeypatch):
    monkeypatch.setattr(layout_.platform, "machine", lambda: "x86_64")
    assert seen(read_path(_two_in_one_layout(tmp_path, platform=platform), tmp_path)) == WANTED


def test_one_image_under_two_names_is_one(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS)
    edit("index.json", lambda d: d["manifests"].append(dict(d["manifests"][0])))(folder)
    assert seen(read_path(folder, tmp_path)) == WANTED


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_neither_file_nor_folder_is_not_waited_for(tmp_path, make):
    make(tmp_path / "image.tar")
    with pytest.raises(UsageError, match="no file or folder"):
        read_path(tmp_path / "image.tar", tmp_path)


def test_a_file_that_cannot_be_read_is_a_wrong_command_line(tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sources, "image_of_tar", fails)
    with pytest.raises(UsageError, match="Permission denied"):
        read_path(in_file(tmp_path, b""), tmp_path)


def test_a_file_that_is_not_there_is_a_wrong_command_line(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        read_path(tmp_path / "none.tar", tmp_path)


@pytest.mark.parametrize(
    ("reference", "archive_"),
    [
        ("./image", True), ("../x", True), ("/srv/layout", True), ("image.tar", True),
        ("x/image.tar.gz", True), ("image.tar.zst", True), ("shop:1", False),
        ("registry.invalid/tar/shop:1", False), ("shop@sha256:0", False), ("shop.tar:1", False),
    ],
)  # fmt: skip
def test_a_name_is_an_image_unless_it_looks_like_a_path(reference, archive_):
    assert is_archive(reference) is archive_
