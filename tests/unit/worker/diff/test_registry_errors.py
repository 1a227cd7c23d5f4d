"""Tests of worker/diff/src: error codes for faulty registries and faulty versions.

One Node process requests all cases, each as a package of its own, because Node starts slowly.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.diff_bundle import run_node
from tests.support.npm_registry import Handler, Registry, Reply, make_reply, serving
from worker.npm_diff import Limits

TOKEN, PASSWORD = "token-5f3a", "word-77c1"
REQUEST_ALL = """
import { readFileSync } from "node:fs";
import { readDigests } from "./src/contents.mjs";
import { fetchBoth } from "./src/registry.mjs";
import { readRequest } from "./src/request.mjs";
const run = async (request) => {
  try {
    const [, { tarball }] = await fetchBoth(readRequest(JSON.stringify(request)));
    await readDigests(tarball, request.limits);
    return { code: "none" };
  } catch ({ code, message, detail }) {
    return { code, message, detail };
  }
};
const outcomes = {};
for (const request of JSON.parse(readFileSync(0, "utf8"))) {
  outcomes[request.package] = await run(request);
}
process.stdout.write(JSON.stringify(outcomes), () => process.exit());
"""


def _truncated(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    handler.wfile.write(b"\x1f\x8b" * 100)


def _redirect_loop(handler: Handler) -> None:
    make_reply(302, location=f"http://127.0.0.1:{handler.registry.port}{handler.path}")(handler)


def _garbage(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-Server\r\n")


def _redirect_to(location: str) -> Reply:
    return make_reply(302, location=location)


# Reply to the request for the document or for the tarball; error code.
REPLIES: dict[str, tuple[Reply, str]] = {
    "404": (make_reply(404), "not_found"),
    "410": (make_reply(410), "not_found"),
    "401": (make_reply(401, TOKEN.encode(), www_authenticate="Basic"), "unauthorized"),
    "403": (make_reply(403), "unauthorized"),
    "429": (make_reply(429), "registry_unavailable"),
    "500": (make_reply(500, TOKEN.encode()), "registry_unavailable"),
    "truncated": (_truncated, "registry_unavailable"),
    "garbage": (_garbage, "bad_protocol"),
    "loop": (_redirect_loop, "bad_redirect"),
    "no-location": (make_reply(302), "bad_redirect"),
    "invalid-location": (_redirect_to("http://[x"), "bad_redirect"),
    "other-scheme": (_redirect_to("ftp://npm.test/x"), "bad_redirect"),
    "file": (_redirect_to("file:///etc/passwd"), "bad_redirect"),
    "other-host": (_redirect_to("http://npm.test/x"), "forbidden_address"),
    "other-port": (_redirect_to("http://127.0.0.1:1/x"), "forbidden_address"),
}
# Document; error code.
DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "no-json": (b"<html>", "registry_unavailable"),
    "no-document": (b"[]", "registry_unavailable"),
    "no-versions": (b'{"versions": {}}', "no_such_version"),
    "no-entry": (b'{"versions": {"1.0.0": null, "1.1.0": 7}}', "no_such_version"),
    "no-number": (b'{"versions": {"1.0.0": {}, "1.1.0": {"version": []}}}', "bad_manifest"),
    "no-checksum": (
        b'{"versions": {"1.0.0": {"dist": {"shasum": 7}}, "1.1.0": {}}}',
        "bad_manifest",
    ),
    "too-long": (b" " * (32 * 1024 * 1024 + 1), "too_large"),
}
WANTED = {"version": "9.9.9", "range": "^9", "tag": "nightly"}
OTHER = "sha512-" + base64.b64encode(hashlib.sha512(b"other").digest()).decode()
# Metadata of the tarball; error code.
DISTS: dict[str, tuple[dict[str, Any], str]] = {
    "of-another": ({"integrity": OTHER}, "integrity"),
    "of-another-by-sha1": ({"integrity": None, "shasum": "0" * 40}, "integrity"),
    "none": ({"integrity": None}, "integrity"),
    "md5": ({"integrity": "md5-1B2M2Y8AsgTpgAmY7PhCfg=="}, "integrity"),
    "nonsense": ({"integrity": "nonsense"}, "integrity"),
    "no-tarball": ({"tarball": None}, "bad_manifest"),
    "a-local-file": ({"tarball": "file:///etc/passwd"}, "bad_manifest"),
    "data": ({"tarball": "data:,x"}, "bad_manifest"),
    "a-number": ({"tarball": 7}, "bad_manifest"),
    "no-address": ({"tarball": "http://[x/"}, "bad_manifest"),
    "long": ({"tarball": "http://npm.test" + "/a" * 500_000}, "bad_manifest"),
    "another-host": ({"tarball": "http://npm.test/x.tgz"}, "forbidden_address"),
    "metadata": ({"tarball": "http://169.254.169.254/latest"}, "forbidden_address"),
    "the-cache": ({"tarball": "http://cache:6379/x.tgz"}, "forbidden_address"),
    "a-closed-port": ({"tarball": "http://127.0.0.1:1/x.tgz"}, "forbidden_address"),
    "a-decimal-address": ({"tarball": "http://2130706433:1/x.tgz"}, "forbidden_address"),
    "ipv6": ({"tarball": "http://[::1]:1/x.tgz"}, "forbidden_address"),
    "https": ({"tarball": "https://127.0.0.1/x.tgz"}, "forbidden_address"),
    "a-name-of-the-host": ({"tarball": "http://localhost/x.tgz"}, "forbidden_address"),
    "user": ({"tarball": "http://127.0.0.1@npm.test/x.tgz"}, "forbidden_address"),
}
MANIFESTS = {
    "text": b"hello",
    "list": b"[]",
    "null": b"null",
    "deep": b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
    "large": b'{"a": "' + b"a" * 1024 * 1024 + b'"}',
}


def _publish(registry: Registry) -> Iterator[tuple[str, str]]:
    """Publish a package for each case; yield its name and the requested version."""
    for name, (reply, _) in REPLIES.items():
        registry.publish("1.0.0", {}, package=f"document-{name}")
        registry.replies[f"/document-{name}"] = reply
        registry.publish("1.0.0", {}, package=f"tarball-{name}")
        registry.replies[registry.publish("1.1.0", {}, package=f"tarball-{name}")] = reply
        yield from ((f"document-{name}", "1.1.0"), (f"tarball-{name}", "1.1.0"))
    for name, (body, _) in DOCUMENTS.items():
        registry.replies[f"/document-{name}"] = make_reply(200, body)
        yield f"document-{name}", "1.1.0"
    for name, wanted in WANTED.items():
        registry.publish("1.0.0", {}, package=f"wanted-{name}")
        yield f"wanted-{name}", wanted
    for name, (dist, _) in DISTS.items():
        registry.publish("1.0.0", {}, package=f"dist-{name}")
        registry.publish("1.1.0", {}, package=f"dist-{name}", dist=dist)
        yield f"dist-{name}", "1.1.0"
    for name, content in MANIFESTS.items():
        registry.publish("1.0.0", {}, package=f"manifest-{name}")
        registry.publish("1.1.0", {"package.json": content}, package=f"manifest-{name}")
        yield f"manifest-{name}", "1.1.0"


@pytest.fixture(scope="module")
def outcomes(diff_sources: Path) -> dict[str, dict[str, Any]]:
    """Return the outcome of each case by its package's name."""
    limits = Limits().as_json()
    with serving() as registry:
        address = registry.address.replace("//", f"//user:{PASSWORD}@")
        common = {"from": "1.0.0", "registry": address, "token": TOKEN, "limits": limits}
        requests = [common | {"package": name, "to": new} for name, new in _publish(registry)]
        return run_node(diff_sources, REQUEST_ALL, requests)


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize("part", ["document", "tarball"])
def test_each_failure_of_the_registry_has_its_code(part, name, outcomes):
    outcome = outcomes[f"{part}-{name}"]
    assert outcome["code"] == REPLIES[name][1], outcome
    subject = {"document": f"document-{name}: ", "tarball": f"tarball-{name} 1.1.0: "}[part]
    assert outcome["message"].startswith(subject)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_invalid_document_is_refused(name, outcomes):
    outcome = outcomes[f"document-{name}"]
    assert outcome["code"] == DOCUMENTS[name][1], outcome


@pytest.mark.parametrize("name", WANTED)
def test_a_missing_version_is_reported(name, outcomes):
    message = f'wanted-{name}: there is no version "{WANTED[name]}"'
    assert outcomes[f"wanted-{name}"] == {
        "code": "no_such_version", "message": message, "detail": ""
    }  # fmt: skip


@pytest.mark.parametrize("name", DISTS)
def test_a_tarball_without_a_valid_checksum_or_address_is_refused(name, outcomes):
    outcome = outcomes[f"dist-{name}"]
    assert outcome["code"] == DISTS[name][1], outcome
    assert outcome["message"].startswith(f"dist-{name} 1.1.0: ")


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_invalid_manifest_is_refused(name, outcomes):
    outcome = outcomes[f"manifest-{name}"]
    assert outcome["code"] == "bad_manifest", outcome
    assert outcome["message"].startswith("package.json is ")


def test_messages_contain_no_secret_no_address_and_no_text_of_the_registry(outcomes):
    messages = "".join(outcome["message"] for outcome in outcomes.values())
    for text in (TOKEN, PASSWORD, "127.0.0.1", "npm.test", "<html>"):
        assert text not in messages
