"""Two versions from a registry: which are chosen, who sees the credentials, what goes wrong."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.npm_registry import Handler, Registry, packed, reply, serving
from worker.change import Change
from worker.npm_diff import DiffError, Limits, diff_versions

TOKEN, PASSWORD = "token-5f3a", "word-77c1"
BASE = "/api/npm/x"


@pytest.fixture
def registry():
    with serving(BASE) as started:
        started.publish("1.0.0", {"a.js": b"1\n"})
        yield started


def _diff(registry: Registry, /, old="1.0.0", new="1.1.0", package="sample", **options) -> Change:
    settings = {"registry": registry.address, "token": None} | options
    return diff_versions(package, old, new, **settings)


def test_ranges_and_tags_of_a_scoped_package_are_resolved_as_npm_does(registry):
    name = "@scope/sample"
    for version in ("1.0.0", "1.2.0", "2.0.0", "2.1.0-beta.1"):
        registry.publish(version, {}, package=name)
    registry.tag(name, latest="2.0.0")
    change = _diff(registry, "^1.0.0", "latest", name)
    assert (change.package, change.old.version, change.new.version) == (name, "1.2.0", "2.0.0")


def test_what_the_registry_says_of_a_version_is_told(registry):
    tarball = packed({"a.js": b"2\n", "package.json": b'\xef\xbb\xbf{"name": "sample", "x": [1]}'})
    registry.publish(
        "1.1.0",
        tarball,
        published="2026-11-20T10:00:00.000Z",
        _npmUser={"name": "someone", "email": "hush"},
        dist={"attestations": {"url": "", "provenance": {"predicateType": "slsa"}}},
    )
    change = _diff(registry)
    assert (change.old.published, change.old.publisher, change.old.provenance) == (
        None,
        None,
        False,
    )
    assert change.new.published == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (change.new.publisher, change.new.provenance) == ("someone", True)
    assert change.new.manifest == {"name": "sample", "x": [1]}
    assert change.new.tarball_bytes == len(tarball)
    assert change.new.unpacked_bytes == 2 + 31
    assert change.new.integrity.startswith("sha512-")
    assert change.node.startswith("v")


def test_half_a_character_in_a_document_does_no_harm(registry):
    """JSON can hold it, text cannot. Nor does a time that is none hide the version."""
    manifest = b'{"\\ud800": ["\\udfff"]}'
    said = {"published": "tomorrow", "_npmUser": {"name": "\ud800"}}
    registry.publish("1.1.0", {"package.json": manifest}, **said)
    version = _diff(registry).new
    assert version.published is None
    assert (version.publisher, version.manifest) == ("\ufffd", {"\ufffd": ["\ufffd"]})


def test_a_token_goes_to_the_registry_alone(registry):
    """Neither to another host, nor by a redirect to another port of the same one."""
    with serving() as other:
        moved = other.publish("1.1.0", {"a.js": b"2\n"})
        elsewhere = f"http://localhost:{other.port}{moved}"
        registry.publish("1.1.0", {"a.js": b"2\n"}, dist={"tarball": elsewhere})
        path = registry.publish("1.2.0", {"a.js": b"2\n"})
        registry.answers[path] = reply(302, location=f"http://127.0.0.1:{other.port}{moved}")
        _diff(registry, "1.1.0", "1.2.0", token=TOKEN)
    assert {path for path, _ in registry.asked} == {f"{BASE}/sample", path}
    assert {seen for _, seen in registry.asked} == {f"Bearer {TOKEN}"}
    assert other.asked == [(moved, None)] * 2


def test_the_passwords_of_an_address_are_basic_auth(registry):
    registry.publish("1.1.0", {})
    address = registry.address.replace("//", f"//us%40er:{PASSWORD}%3A@")
    _diff(registry, registry=address)
    expected = "Basic " + base64.b64encode(f"us@er:{PASSWORD}:".encode()).decode()
    assert [seen for _, seen in registry.asked] == [expected] * 3


def _refused(registry: Registry, **options: Any) -> DiffError:
    with pytest.raises(DiffError) as caught:
        _diff(registry, **options)
    return caught.value


def test_a_registry_that_is_away_is_unavailable():
    with serving() as away:
        pass
    error = _refused(away)
    assert (error.code, error.retry) == ("registry_unavailable", True)
    assert str(error) == "sample: the registry's document could not be fetched (ECONNREFUSED)"


def test_a_registry_that_is_slow_is_unavailable(registry):
    """Also one that sends something now and then."""

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.registry.closing.wait(0.1):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    registry.answers[f"{BASE}/sample"] = drip
    error = _refused(registry, limits=Limits(fetch_seconds=1), timeout=20)
    assert (error.code, error.retry) == ("registry_unavailable", True)


def test_a_tarball_beyond_its_bound_is_not_downloaded_to_its_end(registry):
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.registry.closing.is_set():
            handler.wfile.write(bytes(65536))

    registry.answers[registry.publish("1.1.0", {})] = endless
    error = _refused(registry, limits=Limits(tarball_bytes=1_000_000))
    assert (error.code, error.retry) == ("too_large", False)
    assert str(error) == "sample 1.1.0: the tarball has more than 1000000 bytes"


def test_the_sha1_of_old_versions_is_enough(registry):
    tarball = packed({})
    shasum = hashlib.sha1(tarball).hexdigest()
    registry.publish("1.1.0", tarball, dist={"integrity": None, "shasum": shasum})
    assert _diff(registry).new.integrity.startswith("sha1-")
