"""Images in a registry."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import pytest

from imageproof.errors import ImageDamaged, UsageError
from imageproof.image.oci_layout import _host_platform
from imageproof.image.registry_source import resolve_digest
from imageproof.image.sources import read_images
from imageproof.registry.reference import parse_remote
from tests.support.archives import (
    LAYER_SUMMARY,
    LAYERS,
    digest,
    docker_save_tar,
    layer_summary,
    read_image,
    tar,
    write_file,
)
from tests.support.registry_server import INDEX, LIST, MANIFEST, SCHEMA2, serving

OTHER = (tar({"other": b"machine"}),)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def fake():
    with serving() as fake:
        yield fake


def read(fake, folder, name: str = "gate/api:1", platform: str | None = None):
    engine: Any = None
    reference = f"docker://{fake.host}/{name}"
    facts = read_images(engine, [reference], folder / "cache", platform)[reference]
    assert facts is not None
    return facts


def put_index(fake, media_type: str, digests: dict[str, str]) -> None:
    """Add an index of manifests by platform."""
    items = []
    for platform, digest_ in digests.items():
        os_name, architecture = platform.split("/")
        keys = {"os": os_name, "architecture": architecture}
        items.append({"digest": digest_, "size": 1, "platform": keys})
    fake.put_manifest("gate/api", "1", {"manifests": items}, media_type)


@pytest.mark.parametrize("media_type", [MANIFEST, SCHEMA2])
def test_facts_equal_those_of_the_archive(fake, tmp_path, media_type):
    fake.put_image("gate/api", "1", LAYERS, media_type)
    from_registry = read(fake, tmp_path)
    assert layer_summary(from_registry) == LAYER_SUMMARY
    from_archive = read_image(write_file(tmp_path, docker_save_tar(LAYERS)), tmp_path)
    assert replace(from_registry, reference="") == replace(from_archive, reference="")


def test_cached_layer_is_not_downloaded(fake, tmp_path):
    fake.put_image("gate/api", "1", LAYERS)
    first = read(fake, tmp_path)
    fake.requests.clear()
    fake.put_image("gate/api", "1", (*LAYERS, *OTHER))
    read(fake, tmp_path)
    stored = digest(gzip.compress(OTHER[0], mtime=0))
    assert fake.requests_for("/blobs/")[1:] == [f"GET /v2/gate/api/blobs/{stored}"]
    fake.put_image("gate/api", "1", LAYERS)
    fake.blobs = {d: b for d, b in fake.blobs.items() if b.startswith(b"{")}
    assert read(fake, tmp_path) == first


def test_host_platform_is_read_unless_another_is_selected(fake, tmp_path):
    host = _host_platform()
    other = "linux/arm64" if host != "linux/arm64" else "linux/amd64"

    def put_image(tag: str, layers: Any, platform: str) -> str:
        os_name, architecture = platform.split("/")
        return fake.put_image("gate/api", tag, layers, os=os_name, architecture=architecture)

    host_digest = put_image("host", LAYERS, host)
    digests = {
        host: host_digest,
        other: put_image("other", OTHER, other),
        "unknown/unknown": host_digest,
    }
    for media_type in (INDEX, LIST):
        put_index(fake, media_type, digests)
        assert layer_summary(read(fake, tmp_path)) == LAYER_SUMMARY
        assert len(read(fake, tmp_path, platform=other).layers) == 1
        reference = parse_remote(f"docker://{fake.host}/gate/api:1")
        assert resolve_digest(reference)[1] == (host, other)
    with pytest.raises(UsageError, match="0 images for linux/s390x"):
        read(fake, tmp_path, platform="linux/s390x")
    with pytest.raises(UsageError, match=f"no image for {other}"):
        read(fake, tmp_path, "gate/api:host", platform=other)


def test_image_is_read_by_digest(fake, tmp_path):
    wanted = fake.put_image("gate/api", "1", LAYERS)
    fake.put_image("gate/api", "1", OTHER)
    assert layer_summary(read(fake, tmp_path, f"gate/api@{wanted}")) == LAYER_SUMMARY
    assert resolve_digest(parse_remote(f"docker://{fake.host}/gate/api@{wanted}")) == (wanted, ())


def test_missing_image_is_a_usage_error(fake, tmp_path):
    with pytest.raises(UsageError, match="no such image"):
        read(fake, tmp_path)
    with pytest.raises(UsageError, match="not an image in a registry"):
        parse_remote("docker://api")


def damage(change):
    """Return a function that adds an image and changes the registry."""

    def put(fake) -> None:
        fake.put_image("gate/api", "1", LAYERS)
        change(fake)

    return put


def image_with(**config_changes: Any):
    """Return a function that adds an image with a changed configuration."""
    return lambda fake: fake.put_image("gate/api", "1", LAYERS, **config_changes)


def manifest_with(**changes: Any):
    """Return a function that adds a changed manifest of an image without layers."""

    def put(fake) -> None:
        document = {"config": fake.put_blob(b"{}"), "layers": []} | changes
        fake.put_manifest("gate/api", "1", document, SCHEMA2)

    return put


@pytest.mark.parametrize(
    "put",
    [
        image_with(rootfs={"diff_ids": [digest(b"x")] * 3}),
        image_with(rootfs={"diff_ids": []}),
        image_with(rootfs=7),
        damage(lambda fake: fake.blobs.clear()),
        damage(lambda fake: fake.blobs.update(dict.fromkeys(fake.blobs, b"{}"))),
        manifest_with(),
        manifest_with(config=7),
        manifest_with(config={"digest": f"sha256:{'0' * 64}", "size": 1 << 30}),
        manifest_with(manifests=7),
        manifest_with(manifests=[{"digest": "../../etc/passwd"}]),
        manifest_with(layers=None),
    ],
    ids=[
        "other diff_ids",
        "no diff_ids",
        "no rootfs",
        "no blobs",
        "other blobs",
        "empty configuration",
        "no descriptor",
        "large configuration",
        "no list of manifests",
        "no digest",
        "no list of layers",
    ],
)
def test_damaged_image_is_refused(fake, tmp_path, put):
    put(fake)
    with pytest.raises(ImageDamaged):
        read(fake, tmp_path)
