"""Tests of worker/diff/src/request.mjs: it accepts packages from a registry and nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.diff_bundle import run_node
from worker.npm_diff import Limits

READ_ALL = """
import { readFileSync } from "node:fs";
import { readRequest } from "./src/request.mjs";
const read = (request) => {
  try {
    const { to, registry, credentials } = readRequest(JSON.stringify(request));
    return { type: to.type, registry, credentials };
  } catch ({ code, message, detail }) {
    return { code, message, detail };
  }
};
const requests = JSON.parse(readFileSync(0, "utf8"));
const results = Object.entries(requests).map(([name, request]) => [name, read(request)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));
"""
LIMITS = Limits().as_json()
SECRET = "hush-5f3a"
REGISTRY = "https://npm.test/api/npm/x"


def _request(**fields: Any) -> dict[str, Any]:
    defaults = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0", "registry": REGISTRY}
    return defaults | {"token": None, "limits": LIMITS} | fields


NAMES = [
    "--registry=x", "-g", "../left-pad", "/etc/passwd", "./left-pad", "a/b", "file:a", "npm:b@1",
    "git+ssh://git@npm.test/a.git", "https://npm.test/a.tgz", "left-pad@1", "@scope", "@/a", "a b",
    "a\nb", ".a", "_a", "", "node_modules", "@a/../b", None, 1, ["left-pad"],
]  # fmt: skip
SPECS = [
    "--registry=x", "-1", "../left-pad", "/etc/passwd", "file:a", "npm:other@1", "a/b",
    "github:a/b", "git+ssh://git@npm.test/a.git", "https://npm.test/a.tgz", "a b c!", "x.tgz", "",
    " ", None, 1,
]  # fmt: skip
REGISTRIES = [
    f"ftp://{SECRET}@npm.test", f"file:///etc/{SECRET}", f"//{SECRET}.test", SECRET, "", 1,
]  # fmt: skip
TOKENS = ["", f"{SECRET}\r\nx: y", f"{SECRET} x", 1]
INVALID_LIMITS = [
    None, {}, LIMITS | {"files": 0}, LIMITS | {"files": 1.5}, LIMITS | {"files": "9"},
    LIMITS | {"maxFiles": 1},
]  # fmt: skip

INVALID = {
    **{f"package {name!r}": _request(package=name) for name in NAMES},
    **{f"from {spec!r}": _request(**{"from": spec}) for spec in SPECS},
    **{f"to {spec!r}": _request(to=spec) for spec in SPECS},
    **{f"registry {url!r}": _request(registry=url) for url in REGISTRIES},
    **{f"token {token!r}": _request(token=token) for token in TOKENS},
    **{f"limits {limits!r}": _request(limits=limits) for limits in INVALID_LIMITS},
    **{f"request {request!r}": request for request in (None, [], "left-pad", {})},
}
VALID = {
    "scoped": _request(package="@scope/left.pad"),
    "old": _request(package="JSONStream"),
    "range": _request(to="^1.2 || >3"),
    "tag": _request(to="next"),
    "plain": _request(registry="http://npm.test:4873"),
    "default": _request(registry=None, token=SECRET),
    "token": _request(token=SECRET),
    "basic": _request(registry=f"https://us%40er:{SECRET}%3A%25@npm.test/api/?a=b#c"),
    "both": _request(registry="https://user:word@npm.test", token=SECRET),
}


@pytest.fixture(scope="module")
def results(diff_sources: Path) -> dict[str, Any]:
    """Return the result of each request by name, read by one Node process."""
    return run_node(diff_sources, READ_ALL, VALID | INVALID)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_request_is_refused_without_showing_secrets(name, results):
    """Options, paths, URLs, aliases and repositories."""
    result = results[name]
    assert result["code"] == "bad_request", result
    assert SECRET not in result["message"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("scoped", "version"), ("range", "range"), ("tag", "tag"), ("old", "version")],
)
def test_versions_ranges_and_tags_are_accepted(name, kind, results):
    assert results[name]["type"] == kind


def test_credentials_are_moved_out_of_the_address_and_decoded(results):
    assert results["basic"]["registry"] == "https://npm.test/api/"
    value = base64.b64encode(f"us@er:{SECRET}:%".encode()).decode()
    assert results["basic"]["credentials"] == {"key": "_auth", "value": value}
    assert results["plain"]["credentials"] is None


def test_a_token_takes_precedence_over_the_address(results):
    bearer = {"key": "_authToken", "value": SECRET}
    assert [results[name]["credentials"] for name in ("token", "both", "default")] == [bearer] * 3


def test_a_missing_registry_means_the_default_of_npm(results):
    assert results["default"]["registry"] is None
