"""Tests of worker/diff/src/registry.mjs: chosen versions, credentials and limits."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.npm_registry import Handler, Registry, make_reply, npm_tarball, serving
from worker.change import Change
from worker.failure import ReviewError
from worker.npm_diff import Limits, diff_versions

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


def test_ranges_and_tags_of_a_scoped_package_are_resolved_like_in_npm(registry):
    name = "@scope/sample"
    for version in ("1.0.0", "1.2.0", "2.0.0", "2.1.0-beta.1"):
        registry.publish(version, {}, package=name)
    registry.tag(name, latest="2.0.0")
    change = _diff(registry, "^1.0.0", "latest", name)
    assert (change.package, change.old.version, change.new.version) == (name, "1.2.0", "2.0.0")


def test_registry_metadata_of_a_version_is_returned(registry):
    tarball = npm_tarball(
        {"a.js": b"2\n", "package.json": b'\xef\xbb\xbf{"name": "sample", "x": [1]}'}
    )
    registry.publish(
        "1.1.0",
        tarball,
        published="2026-11-20T10:00:00.000Z",
        _npmUser={"name": "someone", "email": "hush"},
        dist={"attestations": {"url": "", "provenance": {"predicateType": "slsa"}}},
    )
    change = _diff(registry)
    assert (change.old.published, change.old.publisher) == (None, None)
    assert not change.old.provenance
    assert change.new.published == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (change.new.publisher, change.new.provenance) == ("someone", True)
    assert change.new.manifest == {"name": "sample", "x": [1]}
    assert change.new.tarball_bytes == len(tarball)
    assert change.new.unpacked_bytes == 2 + 31
    assert change.new.integrity.startswith("sha512-")
    assert change.node_version.startswith("v")


def test_lone_surrogates_and_invalid_times_are_replaced(registry):
    manifest = b'{"\\ud800": ["\\udfff"]}'
    metadata = {"published": "tomorrow", "_npmUser": {"name": "\ud800"}}
    registry.publish("1.1.0", {"package.json": manifest}, **metadata)
    version = _diff(registry).new
    assert version.published is None
    assert (version.publisher, version.manifest) == ("\ufffd", {"\ufffd": ["\ufffd"]})


def test_a_token_is_sent_to_the_registry_only(registry):
    """Not to another host, and not by a redirect to another port of the same host."""
    with serving() as other:
        other_path = other.publish("1.1.0", {"a.js": b"2\n"})
        other_address = f"http://localhost:{other.port}{other_path}"
        registry.publish("1.1.0", {"a.js": b"2\n"}, dist={"tarball": other_address})
        path = registry.publish("1.2.0", {"a.js": b"2\n"})
        registry.replies[path] = make_reply(
            302, location=f"http://127.0.0.1:{other.port}{other_path}"
        )
        hosts = [f"localhost:{other.port}", f"127.0.0.1:{other.port}"]
        _diff(registry, "1.1.0", "1.2.0", token=TOKEN, hosts=hosts)
    assert {path for path, _ in registry.requests} == {f"{BASE}/sample", path}
    assert {header for _, header in registry.requests} == {f"Bearer {TOKEN}"}
    assert other.requests == [(other_path, None)] * 2


def test_credentials_in_the_address_are_sent_as_basic_auth(registry):
    registry.publish("1.1.0", {})
    address = registry.address.replace("//", f"//us%40er:{PASSWORD}%3A@")
    _diff(registry, registry=address)
    expected = "Basic " + base64.b64encode(f"us@er:{PASSWORD}:".encode()).decode()
    assert [header for _, header in registry.requests] == [expected] * 3


def _failure(registry: Registry, **options: Any) -> ReviewError:
    with pytest.raises(ReviewError) as caught:
        _diff(registry, **options)
    return caught.value


def test_a_closed_port_is_registry_unavailable():
    with serving() as closed:
        pass
    error = _failure(closed)
    assert (error.code, error.max_attempts) == ("registry_unavailable", None)
    assert str(error) == "sample: the registry's document could not be fetched (ECONNREFUSED)"


def test_a_registry_that_sends_slowly_is_unavailable_after_the_deadline(registry):

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.registry.closing.wait(0.1):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    registry.replies[f"{BASE}/sample"] = drip
    error = _failure(registry, limits=Limits(fetch_seconds=1), timeout=20)
    assert (error.code, error.max_attempts) == ("registry_unavailable", None)


def test_the_download_of_a_tarball_stops_at_its_limit(registry):
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.registry.closing.is_set():
            handler.wfile.write(bytes(65536))

    registry.replies[registry.publish("1.1.0", {})] = endless
    error = _failure(registry, limits=Limits(tarball_bytes=1_000_000))
    assert (error.code, error.max_attempts) == ("too_large", 1)
    assert str(error) == "sample 1.1.0: the tarball has more than 1000000 bytes"


def test_a_sha1_checksum_of_an_old_version_is_accepted(registry):
    tarball = npm_tarball({})
    shasum = hashlib.sha1(tarball).hexdigest()
    registry.publish("1.1.0", tarball, dist={"integrity": None, "shasum": shasum})
    assert _diff(registry).new.integrity.startswith("sha1-")
