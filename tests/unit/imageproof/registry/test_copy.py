"""Tests of copying an image between repositories."""

from __future__ import annotations

import json

import pytest

from imageproof.errors import ImageDamaged, UsageError
from imageproof.registry.client import Registry
from imageproof.registry.copy import copy_image
from imageproof.registry.reference import Reference
from tests.support.archives import LAYERS, tar
from tests.support.registry_server import INDEX, LIST, MANIFEST, SCHEMA2, serving


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def source():
    with serving() as fake:
        yield fake


@pytest.fixture
def target():
    with serving() as fake:
        yield fake


def put_index(fake, *digests: str, media_type: str = INDEX) -> str:
    """Add an index of these manifests and return its digest."""
    document = {"mediaType": media_type, "manifests": [{"digest": d, "size": 1} for d in digests]}
    return fake.put_manifest("gate/api", "all", document, media_type)


def copy(source, digest: str, target, path: str = "other/api", tag: str = "2") -> None:
    with Registry(source.host) as origin, Registry(target.host) as destination:
        copy_image(
            origin,
            Reference(source.host, "gate/api", digest=digest),
            destination,
            Reference(target.host, path, tag),
        )


def written_paths(fake) -> list[str]:
    return [request.path for request in fake.requests if request.method in ("PUT", "POST")]


@pytest.mark.parametrize(("index_type", "manifest_type"), [(INDEX, MANIFEST), (LIST, SCHEMA2)])
def test_index_is_copied_with_its_manifests_and_blobs(source, target, index_type, manifest_type):
    first = source.put_image("gate/api", "1", LAYERS, manifest_type)
    second = source.put_image("gate/api", "2", (tar({"arm": b"64"}),), manifest_type)
    top = put_index(source, first, second, media_type=index_type)
    copy(source, top, target)
    assert target.manifests["other/api", "2"] == source.manifests["gate/api", top]
    for digest in (first, second, top):
        assert target.manifests["other/api", digest] == source.manifests["gate/api", digest]
    assert target.blobs == source.blobs


def test_present_blobs_are_not_transferred_again(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    copy(source, top, target)
    source.requests.clear()
    target.requests.clear()
    copy(source, top, target)
    assert source.requests_for("/blobs/") == []
    assert {path.rpartition("/")[0] for path in written_paths(target)} == {
        "/v2/other/api/manifests"
    }


def test_blobs_are_mounted_within_a_registry(source):
    top = source.put_image("gate/api", "1", LAYERS)
    source.intercept = lambda handler, request: (
        request.method == "HEAD" and handler.refuse(404, "GONE")
    )
    copy(source, top, source)
    assert source.manifests["other/api", "2"] == source.manifests["gate/api", top]
    assert not [request for request in source.requests if request.path.startswith("/upload")]
    assert [request.query["from"] for request in source.requests if request.query] == [
        ["gate/api"]
    ] * 4


def test_blobs_are_uploaded_if_the_registry_does_not_mount(source):
    top = source.put_image("gate/api", "1", LAYERS)
    source.intercept = lambda handler, request: (
        request.method == "HEAD" and handler.refuse(404, "GONE")
    )
    source.allows_mounts = False
    copy(source, top, source)
    assert len([request for request in source.requests if request.path.startswith("/upload")]) == 4


def test_copy_within_a_repository_writes_only_the_tag(source):
    top = source.put_image("gate/api", "1", LAYERS)
    copy(source, top, source, path="gate/api")
    assert written_paths(source) == ["/v2/gate/api/manifests/2"]


def test_damaged_blob_stops_the_copy_before_the_tag(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    for digest in source.blobs:
        source.blobs[digest] = b"x" * len(source.blobs[digest])
    with pytest.raises(ImageDamaged, match="is damaged"):
        copy(source, top, target)
    assert target.manifests == {}


def test_missing_image_is_a_usage_error(source, target):
    with pytest.raises(UsageError, match="no such image"):
        copy(source, f"sha256:{'0' * 64}", target)


def test_deeply_nested_index_is_refused(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    for _ in range(6):
        top = put_index(source, top)
    with pytest.raises(ImageDamaged, match="too many manifests"):
        copy(source, top, target)


def test_manifest_without_lists_is_refused(source, target):
    config = source.put_blob(b"{}")
    for document, media_type in (
        ({"config": config, "layers": 7}, SCHEMA2),
        ({"manifests": {}}, INDEX),
    ):
        with pytest.raises(ImageDamaged, match="has no list"):
            copy(source, source.put_manifest("gate/api", "1", document, media_type), target)


@pytest.mark.parametrize(
    "item",
    [7, {}, {"digest": "sha256:0", "size": 1}, {"digest": f"sha256:{'0' * 64}", "size": -1}],
)
def test_invalid_descriptor_is_refused(source, target, item):
    top = source.put_manifest("gate/api", "1", {"config": item}, SCHEMA2)
    with pytest.raises(ImageDamaged):
        copy(source, top, target)
    assert json.loads(source.manifests["gate/api", top][1])["config"] == item
