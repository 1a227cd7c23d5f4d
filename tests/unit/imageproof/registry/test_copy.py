"""imageproof.registry.copy: byte for byte, and nothing twice."""

from __future__ import annotations

import json

import pytest

from imageproof.errors import StackFailed, UsageError
from imageproof.registry.client import Registry
from imageproof.registry.copy import copy
from imageproof.registry.reference import Reference
from tests.support.archives import LAYERS, tar
from tests.support.registry_server import INDEX, LIST, SCHEMA2, serving


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def source():
    with serving() as fake:
        yield fake


@pytest.fixture
def target():
    with serving() as fake:
        yield fake


def index(fake, *digests: str, kind: str = INDEX) -> str:
    document = {"mediaType": kind, "manifests": [{"digest": d, "size": 1} for d in digests]}
    return fake.put("gate/api", "all", document, kind)


def run(source, digest: str, target, path: str = "other/api", tag: str = "2") -> None:
    with Registry(source.host) as one, Registry(target.host) as two:
        copy(
            one,
            Reference(source.host, "gate/api", digest=digest),
            two,
            Reference(target.host, path, tag),
        )


def written(fake) -> list[str]:
    return [told.path for told in fake.told if told.method in ("PUT", "POST")]


@pytest.mark.parametrize(("kind", "one"), [(INDEX, None), (LIST, SCHEMA2)])
def test_an_index_comes_with_all_that_it_names(source, target, kind, one):
    kinds = {"kind": one} if one else {}
    first = source.put_image("gate/api", "1", LAYERS, **kinds)
    second = source.put_image("gate/api", "2", (tar({"arm": b"64"}),), **kinds)
    top = index(source, first, second, kind=kind)
    run(source, top, target)
    assert target.manifests["other/api", "2"] == source.manifests["gate/api", top]
    for digest in (first, second, top):
        assert target.manifests["other/api", digest] == source.manifests["gate/api", digest]
    assert target.blobs == source.blobs


def test_what_is_there_is_not_transferred_again(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    run(source, top, target)
    source.told.clear()
    target.told.clear()
    run(source, top, target)
    assert source.seen("/blobs/") == []
    assert {path.rpartition("/")[0] for path in written(target)} == {"/v2/other/api/manifests"}


def test_within_a_registry_blobs_are_mounted(source):
    top = source.put_image("gate/api", "1", LAYERS)
    source.before = lambda h, told: told.method == "HEAD" and (h.refuse(404, "GONE") or True)
    run(source, top, source)
    assert source.manifests["other/api", "2"] == source.manifests["gate/api", top]
    assert not [told for told in source.told if told.path.startswith("/upload")]
    assert [told.query["from"] for told in source.told if told.query] == [["gate/api"]] * 4


def test_a_registry_that_does_not_mount_is_given_the_bytes(source):
    top = source.put_image("gate/api", "1", LAYERS)
    source.before = lambda h, told: told.method == "HEAD" and (h.refuse(404, "GONE") or True)
    source.mounts = False
    run(source, top, source)
    assert len([told for told in source.told if told.path.startswith("/upload")]) == 4


def test_in_its_own_repository_an_image_is_given_another_tag_and_no_more(source):
    top = source.put_image("gate/api", "1", LAYERS)
    run(source, top, source, path="gate/api")
    assert written(source) == ["/v2/gate/api/manifests/2"]


def test_a_damaged_blob_does_not_arrive_and_no_tag_does(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    for digest in source.blobs:
        source.blobs[digest] = b"x" * len(source.blobs[digest])
    with pytest.raises(StackFailed, match="is damaged"):
        run(source, top, target)
    assert target.manifests == {}


def test_what_is_not_there_cannot_be_copied(source, target):
    with pytest.raises(UsageError, match="no such image"):
        run(source, f"sha256:{'0' * 64}", target)


def test_an_index_without_end_is_given_up(source, target):
    top = source.put_image("gate/api", "1", LAYERS)
    for _ in range(6):
        top = index(source, top)
    with pytest.raises(StackFailed, match="too many manifests"):
        run(source, top, target)


def test_a_list_that_is_none_is_refused(source, target):
    about = source.put_blob(b"{}")
    for document, kind in (({"config": about, "layers": 7}, SCHEMA2), ({"manifests": {}}, INDEX)):
        with pytest.raises(StackFailed, match="has no list"):
            run(source, source.put("gate/api", "1", document, kind), target)


@pytest.mark.parametrize(
    "item",
    [7, {}, {"digest": "sha256:0", "size": 1}, {"digest": f"sha256:{'0' * 64}", "size": -1}],
)
def test_a_descriptor_that_is_none_is_refused(source, target, item):
    top = source.put("gate/api", "1", {"config": item}, SCHEMA2)
    with pytest.raises(StackFailed):
        run(source, top, target)
    assert json.loads(source.manifests["gate/api", top][1])["config"] == item
