"""Images in tar files and OCI layouts."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from imageproof.errors import UsageError
from imageproof.image import archive, oci_layout
from imageproof.image.sources import is_archive
from tests.support.archives import (
    EMPTY,
    FIRST,
    LAYER_SUMMARY,
    LAYERS,
    SECOND,
    blob_path,
    digest,
    docker_save_tar,
    edit_json,
    image_config,
    json_entry,
    layer_summary,
    member,
    read_image,
    tar,
    write_file,
    write_layout,
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_docker_save_tar_is_read(tmp_path, compress):
    facts = read_image(write_file(tmp_path, compress(docker_save_tar(LAYERS))), tmp_path)
    assert layer_summary(facts) == LAYER_SUMMARY
    assert (facts.user, facts.command, facts.environment) == (
        "10001:10001",
        ("python",),
        {"A": "b"},
    )
    assert facts.history == ("COPY 0 /", "COPY 1 /", "COPY 2 /", "CMD python")
    assert sorted(facts.files) == ["a", "b", "usr/bin/python"]


def test_docker_save_tar_of_engine_24_is_read(tmp_path):
    """Before engine 25: a folder for each layer, and the configuration beside them."""
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": ["a:1"], "Layers": names}]
    blobs = dict(zip(names, LAYERS, strict=True))
    blobs |= {
        "0/VERSION": b"1.0",
        "0/json": b"{}",
        "abc.json": json.dumps(image_config(LAYERS)).encode(),
    }
    blob = tar(blobs | {"manifest.json": json.dumps(manifest).encode()})
    assert layer_summary(read_image(write_file(tmp_path, blob), tmp_path)) == LAYER_SUMMARY


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_oci_layout_folder_is_read(tmp_path, compress):
    folder = write_layout(tmp_path / "layout", LAYERS, [compress(blob) for blob in LAYERS])
    assert layer_summary(read_image(folder, tmp_path)) == LAYER_SUMMARY


def test_oci_layout_in_a_tar_is_read(tmp_path):
    folder = write_layout(tmp_path / "layout", LAYERS, [gzip.compress(blob) for blob in LAYERS])
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert layer_summary(read_image(write_file(tmp_path, tar(files)), tmp_path)) == LAYER_SUMMARY


def test_nested_index_leads_to_the_host_platform(tmp_path, monkeypatch):
    monkeypatch.setattr(oci_layout, "machine", lambda: "aarch64")
    folder = write_layout(tmp_path / "layout", LAYERS)
    inner = json.loads((folder / "index.json").read_text())
    other = {"digest": digest(b"nothing"), "platform": {"architecture": "amd64"}}
    inner["manifests"][0]["platform"] = {"architecture": "arm64", "os": "linux"}
    text = json.dumps({"manifests": [other, *inner["manifests"]]}).encode()
    (folder / blob_path(text)).write_bytes(text)
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": digest(text)}]}))
    assert layer_summary(read_image(folder, tmp_path)) == LAYER_SUMMARY


def test_repeated_layer_is_a_link_in_a_tar_of_engine_24(tmp_path):
    twice = (FIRST, SECOND, FIRST)
    link = member("2/layer.tar", tarfile.SYMTYPE, linkname="../0/layer.tar")
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": None, "Layers": names}]
    blobs = {names[0]: FIRST, names[1]: SECOND, names[2]: link}
    blobs |= {"abc.json": json.dumps(image_config(twice)).encode()}
    facts = read_image(
        write_file(tmp_path, tar(blobs | json_entry("manifest.json", manifest))), tmp_path
    )
    assert [layer.diff_id for layer in facts.layers] == list(map(digest, twice))


def test_identity_is_the_digest_of_the_configuration(tmp_path):
    text = json.dumps(image_config(LAYERS)).encode()
    from_tar = read_image(write_file(tmp_path, docker_save_tar(LAYERS)), tmp_path)
    from_folder = read_image(write_layout(tmp_path / "layout", LAYERS), tmp_path)
    assert from_tar.identity == from_folder.identity == digest(text)


def test_large_json_beside_an_image_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_DOCUMENT_BYTES", 1000)
    blob = docker_save_tar(LAYERS)[: -len(EMPTY)].rstrip(b"\0")
    blob += b"\0" * (-len(blob) % 512) + tar({"sbom": b'{"x": "' + b"y" * 3000 + b'"}'})
    assert layer_summary(read_image(write_file(tmp_path, blob), tmp_path)) == LAYER_SUMMARY


def _two_in_one_layout(folder: Path, **second: Any) -> Path:
    """Write a layout with two images; `second` changes the second descriptor."""
    both, other = write_layout(folder / "both", LAYERS), write_layout(folder / "other", (SECOND,))
    shutil.copytree(other / "blobs", both / "blobs", dirs_exist_ok=True)
    descriptor = json.loads((other / "index.json").read_text())["manifests"][0] | second
    edit_json("index.json", lambda document: document["manifests"].append(descriptor))(both)
    return both


def test_several_images_are_refused_with_their_names(tmp_path):
    with pytest.raises(UsageError, match="it holds 2 images for this machine: a:1, b:2") as caught:
        read_image(write_file(tmp_path, docker_save_tar(LAYERS, tags=("a:1", "b:2"))), tmp_path)
    assert caught.value.hint
    name = {"annotations": {"org.opencontainers.image.ref.name": "shop:2"}}
    with pytest.raises(UsageError, match=r"2 images for this machine: sha256:\w+..., shop:2"):
        read_image(_two_in_one_layout(tmp_path, **name), tmp_path)


@pytest.mark.parametrize(
    "platform", [{"os": "windows", "architecture": "amd64"}, {"architecture": "s390x"}]
)
def test_image_of_another_platform_is_skipped(tmp_path, platform, monkeypatch):
    monkeypatch.setattr(oci_layout, "machine", lambda: "x86_64")
    assert (
        layer_summary(read_image(_two_in_one_layout(tmp_path, platform=platform), tmp_path))
        == LAYER_SUMMARY
    )


def test_image_with_two_names_counts_once(tmp_path):
    folder = write_layout(tmp_path / "layout", LAYERS)
    edit_json("index.json", lambda d: d["manifests"].append(dict(d["manifests"][0])))(folder)
    assert layer_summary(read_image(folder, tmp_path)) == LAYER_SUMMARY


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_fifo_and_broken_link_are_refused(tmp_path, make):
    make(tmp_path / "image.tar")
    with pytest.raises(UsageError, match="no file or folder"):
        read_image(tmp_path / "image.tar", tmp_path)


def test_unreadable_file_is_a_usage_error(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archive, "read_image_tar", fail)
    with pytest.raises(UsageError, match="Permission denied"):
        read_image(write_file(tmp_path, b""), tmp_path)


def test_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        read_image(tmp_path / "none.tar", tmp_path)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("./image", True), ("../x", True), ("/srv/layout", True), ("image.tar", True),
        ("x/image.tar.gz", True), ("image.tar.zst", True), ("shop:1", False),
        ("registry.invalid/tar/shop:1", False), ("shop@sha256:0", False), ("shop.tar:1", False),
    ],
)  # fmt: skip
def test_reference_is_an_archive_if_it_looks_like_a_path(reference, expected):
    assert is_archive(reference) is expected
