"""Images in a registry."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import pytest

from imageproof.errors import StackFailed, UsageError
from imageproof.image.oci_layout import _host_platform
from imageproof.image.registry_source import parse_remote, resolve_digest
from imageproof.image.sources import read_images
from tests.support.archives import (
    EXPECTED,
    LAYERS,
    digest,
    in_file,
    layer_summary,
    read_path,
    saved,
    tar,
)
from tests.support.registry_server import INDEX, LIST, SCHEMA2, serving

OTHER = (tar({"other": b"machine"}),)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
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


def index(fake, kind: str = INDEX, **platforms: str) -> str:
    items = [
        {
            "digest": d,
            "size": 1,
            "platform": dict(zip(("os", "architecture"), p.split("/"), strict=True)),
        }
        for p, d in platforms.items()
    ]
    return fake.put("gate/api", "1", {"manifests": items}, kind)


@pytest.mark.parametrize("kinds", [{}, {"kind": SCHEMA2}])
def test_facts_equal_those_of_the_archive(fake, tmp_path, kinds):
    fake.put_image("gate/api", "1", LAYERS, **kinds)
    found = read(fake, tmp_path)
    assert layer_summary(found) == EXPECTED
    archived = read_path(in_file(tmp_path, saved(LAYERS)), tmp_path)
    assert replace(found, reference="") == replace(archived, reference="")


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
    other = "linux/arm64" if _host_platform() != "linux/arm64" else "linux/amd64"
    own, second = (
        fake.put_image("gate/api", tag, layers, os=platform[0], architecture=platform[1])
        for tag, layers, platform in (
            ("own", LAYERS, _host_platform().split("/")),
            ("other", OTHER, other.split("/")),
        )
    )
    for kind in (INDEX, LIST):
        index(fake, kind, **{_host_platform(): own, other: second, "unknown/unknown": own})
        assert layer_summary(read(fake, tmp_path)) == EXPECTED
        assert len(read(fake, tmp_path, platform=other).layers) == 1
        assert resolve_digest(parse_remote(f"docker://{fake.host}/gate/api:1"))[1] == (
            _host_platform(),
            other,
        )
    with pytest.raises(UsageError, match="0 images for linux/s390x"):
        read(fake, tmp_path, platform="linux/s390x")
    with pytest.raises(UsageError, match=f"no image for {other}"):
        read(fake, tmp_path, "gate/api:own", platform=other)


def test_image_is_read_by_digest(fake, tmp_path):
    wanted = fake.put_image("gate/api", "1", LAYERS)
    fake.put_image("gate/api", "1", OTHER)
    assert layer_summary(read(fake, tmp_path, f"gate/api@{wanted}")) == EXPECTED
    assert resolve_digest(parse_remote(f"docker://{fake.host}/gate/api@{wanted}")) == (wanted, ())


def test_missing_image_is_a_usage_error(fake, tmp_path):
    with pytest.raises(UsageError, match="no such image"):
        read(fake, tmp_path)
    with pytest.raises(UsageError, match="not an image in a registry"):
        parse_remote("docker://api")


def spoilt(change):
    def put(fake) -> None:
        fake.put_image("gate/api", "1", LAYERS)
        change(fake)

    return put


def of_manifest(**changes: Any):
    def put(fake) -> None:
        fake.put("gate/api", "1", {"config": fake.put_blob(b"{}"), "layers": []} | changes, SCHEMA2)

    return put


@pytest.mark.parametrize(
    "put",
    [
        lambda fake: fake.put_image(
            "gate/api", "1", LAYERS, rootfs={"diff_ids": [digest(b"x")] * 3}
        ),
        lambda fake: fake.put_image("gate/api", "1", LAYERS, rootfs={"diff_ids": []}),
        lambda fake: fake.put_image("gate/api", "1", LAYERS, rootfs=7),
        spoilt(lambda fake: fake.blobs.clear()),
        spoilt(lambda fake: fake.blobs.update(dict.fromkeys(fake.blobs, b"{}"))),
        of_manifest(),
        of_manifest(config=7),
        of_manifest(config={"digest": f"sha256:{'0' * 64}", "size": 1 << 30}),
        of_manifest(manifests=7),
        of_manifest(manifests=[{"digest": "../../etc/passwd"}]),
        of_manifest(layers=None),
    ],
    ids=range(11),
)
def test_damaged_image_is_refused(fake, tmp_path, put):
    put(fake)
    with pytest.raises(StackFailed):
        read(fake, tmp_path)
