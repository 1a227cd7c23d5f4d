"""Tests of worker/diff/src/hosts.mjs: the addresses from which the worker fetches, and TLS."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.diff_bundle import run_node
from tests.support.npm_registry import Registry, certificate, make_reply, serving
from worker.change import Change
from worker.failure import ReviewError
from worker.npm_diff import Limits, diff_versions

TOKEN = "token-5f3a"


@pytest.fixture
def registry():
    with serving() as started:
        started.publish("1.0.0", {"a.js": b"1\n"})
        yield started


@pytest.fixture
def other():
    with serving() as started:
        yield started


def _diff(registry: Registry, /, **options: Any) -> Change:
    settings = {"registry": registry.address, "token": TOKEN} | options
    return diff_versions("sample", "1.0.0", "1.1.0", **settings)


def _failure(registry: Registry, **options: Any) -> ReviewError:
    with pytest.raises(ReviewError) as caught:
        _diff(registry, **options)
    return caught.value


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_open_and_a_closed_port_give_the_same_failure(registry, other):
    """By the tarball's address and by a redirect; neither receives a request."""
    failures = []
    for port in (other.port, _closed_port()):
        address = f"http://127.0.0.1:{port}/x.tgz"
        registry.publish("1.1.0", {}, dist={"tarball": address})
        failures.append(_failure(registry))
        registry.replies[registry.publish("1.1.0", {})] = make_reply(302, location=address)
        failures.append(_failure(registry))
    assert {failure.code for failure in failures} == {"forbidden_address"}
    assert len({str(failure) for failure in failures}) == 1
    assert "ARTIFACTORY_HOSTS" in str(failures[0])
    assert failures[0].detail == f"host: 127.0.0.1:{other.port}"
    assert other.requests == []


def test_a_redirect_of_the_document_is_checked_too(registry, other):
    location = f"{other.address}/sample"
    registry.replies["/sample"] = make_reply(302, location=location)
    assert _failure(registry).code == "forbidden_address"
    assert other.requests == []


def test_each_redirect_is_checked(registry, other):
    """A host that is allowed redirects to one that is not: the registry's other name."""
    path = registry.publish("1.1.0", {})
    location = f"http://localhost:{registry.port}{path}"
    other.replies["/x.tgz"] = make_reply(302, location=location)
    registry.replies[path] = make_reply(302, location=f"{other.address}/x.tgz")
    assert _failure(registry, hosts=[f"127.0.0.1:{other.port}"]).code == "forbidden_address"
    assert other.requests == [("/x.tgz", None)]


def test_an_allowed_host_may_have_a_private_address_and_gets_no_token(registry, other):
    path = other.publish("1.1.0", {"a.js": b"2\n"})
    registry.publish("1.1.0", {"a.js": b"2\n"}, dist={"tarball": f"{other.address}{path}"})
    change = _diff(registry, hosts=[f"127.0.0.1:{other.port}"])
    assert change.new.version == "1.1.0"
    assert other.requests == [(path, None)]
    assert {header for _, header in registry.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_tarball_of_an_https_registry_is_fetched_by_https(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Many servers behind a proxy write http:// into their answers."""
    file = certificate(tmp_path)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(file))
    with serving(certificate=file) as registry:
        registry.publish("1.0.0", {})
        path = registry.publish("1.1.0", {"a.js": b"2\n"})
        tarball = f"{scheme}://127.0.0.1:{registry.port}{path}"
        registry.publish("1.1.0", {"a.js": b"2\n"}, dist={"tarball": tarball})
        assert _diff(registry).new.version == "1.1.0"
    assert (path, f"Bearer {TOKEN}") in registry.requests


@pytest.mark.parametrize(
    ("name", "is_trusted", "reason"),
    [
        ("127.0.0.1", False, "DEPTH_ZERO_SELF_SIGNED_CERT"),
        ("npm.test", True, "ERR_TLS_CERT_ALTNAME_INVALID"),
    ],
    ids=["unknown CA", "another host"],
)
def test_an_invalid_certificate_is_not_tried_again(name, is_trusted, reason, tmp_path, monkeypatch):
    file = certificate(tmp_path, name)
    if is_trusted:
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(file))
    with serving(certificate=file) as registry:
        error = _failure(registry)
    assert (error.code, error.max_attempts) == ("bad_certificate", 1)
    assert reason in str(error)


def test_a_registry_without_tls_at_an_https_address_is_a_wrong_protocol(registry):
    registry.scheme = "https"
    error = _failure(registry)
    assert (error.code, error.max_attempts) == ("bad_protocol", 2)


CHECK = """
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { Hosts } from "./src/hosts.mjs";
const { registry, hosts, urls, addresses } = JSON.parse(readFileSync(0, "utf8"));
dns.lookup = (name, options, callback) => callback(null, addresses);
const allowed = new Hosts(registry, hosts);
const check = (url) => {
  try {
    const { lookup } = allowed.check(new URL(url));
    if (!lookup) return "any address";
    return new Promise((resolve) =>
      lookup(new URL(url).hostname, { all: true }, (error) => resolve(error?.code ?? "public")),
    );
  } catch (error) {
    return error.code;
  }
};
const outcomes = {};
for (const url of urls) outcomes[url] = await check(url);
process.stdout.write(JSON.stringify(outcomes));
"""


def _outcomes(sources: Path, *urls: str, **request: Any) -> dict[str, str]:
    defaults = {
        "registry": "https://npm.test/api/",
        "hosts": ["files.test", "files.test:8443", "*.store.test", "*.store.test:9000"],
        "addresses": [{"address": "8.8.8.8", "family": 4}],
    }
    return run_node(sources, CHECK, {**defaults, **request, "urls": urls})


def test_hosts_ports_and_domains_are_matched_exactly(diff_sources: Path):
    expected = {
        "https://npm.test/x": "any address",
        "https://user:word@npm.test:443/x": "any address",
        "https://NPM.test/x": "any address",
        "http://npm.test/x": "forbidden_address",
        "https://npm.test:8443/x": "forbidden_address",
        "https://npm.test./x": "forbidden_address",
        "https://npm.test.evil.test/x": "forbidden_address",
        "https://npm.test@evil.test/x": "forbidden_address",
        "https://files.test/x": "any address",
        "http://files.test/x": "any address",
        "https://files.test:8443/x": "any address",
        "https://files.test:8444/x": "forbidden_address",
        "https://a.files.test/x": "forbidden_address",
        "https://a.store.test/x": "public",
        "https://a.b.store.test/x": "public",
        "https://a.store.test:9000/x": "public",
        "https://a.store.test:9001/x": "forbidden_address",
        "https://store.test/x": "forbidden_address",
        "https://evilstore.test/x": "forbidden_address",
        "ftp://a.store.test/x": "forbidden_address",
    }
    assert _outcomes(diff_sources, *expected) == expected


def test_a_registry_may_move_to_https_but_to_no_other_port(diff_sources: Path):
    expected = {
        "https://npm.test/x": "any address",
        "https://npm.test:8443/x": "forbidden_address",
        "http://npm.test:8080/x": "forbidden_address",
    }
    assert _outcomes(diff_sources, *expected, registry="http://npm.test/") == expected
    moved = "https://npm.test/x"
    outcomes = _outcomes(diff_sources, moved, registry="http://npm.test:8080/")
    assert outcomes == {moved: "forbidden_address"}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_a_name_below_an_allowed_domain_must_have_public_addresses_only(address, diff_sources):
    url = "https://a.store.test/x"
    public = {"address": "2606:4700::1", "family": 6}
    private = {"address": address, "family": 6 if ":" in address else 4}
    for addresses in ([private], [public, private]):
        assert _outcomes(diff_sources, url, addresses=addresses) == {url: "forbidden_address"}
    assert _outcomes(diff_sources, url, addresses=[public]) == {url: "public"}


FETCH = """
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { fetchBoth } from "./src/registry.mjs";
import { readRequest } from "./src/request.mjs";
dns.lookup = (name, options, callback) => {
  const address = { address: "127.0.0.1", family: 4 };
  return options.all ? callback(null, [address]) : callback(null, address.address, 4);
};
const finish = (code) => process.stdout.write(JSON.stringify(code), () => process.exit());
fetchBoth(readRequest(readFileSync(0, "utf8"))).then(
  () => finish("fetched"),
  (error) => finish(error.code),
);
"""


@pytest.mark.parametrize(
    ("pattern", "outcome"), [("a.store.test", "fetched"), ("*.store.test", "forbidden_address")]
)
def test_a_connection_uses_the_lookup_that_was_checked(
    pattern, outcome, registry, other, diff_sources
):
    path = other.publish("1.1.0", {})
    tarball = f"http://a.store.test:{other.port}{path}"
    registry.publish("1.1.0", {}, dist={"tarball": tarball})
    request = {
        "package": "sample",
        "from": "1.0.0",
        "to": "1.1.0",
        "registry": registry.address,
        "hosts": [f"{pattern}:{other.port}"],
        "limits": Limits().as_json(),
    }
    assert run_node(diff_sources, FETCH, request) == outcome
    assert other.requests == ([(path, None)] if outcome == "fetched" else [])
