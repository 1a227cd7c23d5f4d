"""What the diff program takes for a request: packages of a registry, and nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from worker.npm_diff import Limits, _camel

READ_ALL = """
import { readFileSync } from "node:fs";
import { readRequest } from "./src/request.mjs";
const read = (request) => {
  try {
    const { to, registry, credentials } = readRequest(JSON.stringify(request));
    return { type: to.type, registry, credentials };
  } catch ({ code, message, retry }) {
    return { code, message, retry };
  }
};
const requests = JSON.parse(readFileSync(0, "utf8"));
const results = Object.entries(requests).map(([name, request]) => [name, read(request)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));
"""
LIMITS = {_camel(name): value for name, value in asdict(Limits()).items()}
SECRET = "hush-5f3a"
REGISTRY = "https://npm.test/api/npm/x"


def _request(**changed: Any) -> dict[str, Any]:
    usual = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0", "registry": REGISTRY}
    return usual | {"token": None, "limits": LIMITS} | changed


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
LIMITATIONS = [
    None, {}, LIMITS | {"files": 0}, LIMITS | {"files": 1.5}, LIMITS | {"files": "9"},
    LIMITS | {"maxFiles": 1},
]  # fmt: skip

REFUSED = {
    **{f"package {name!r}": _request(package=name) for name in NAMES},
    **{f"from {spec!r}": _request(**{"from": spec}) for spec in SPECS},
    **{f"to {spec!r}": _request(to=spec) for spec in SPECS},
    **{f"registry {url!r}": _request(registry=url) for url in REGISTRIES},
    **{f"token {token!r}": _request(token=token) for token in TOKENS},
    **{f"limits {limits!r}": _request(limits=limits) for limits in LIMITATIONS},
    **{f"all {request!r}": request for request in (None, [], "left-pad", {})},
}
TAKEN = {
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
def read(diff_sources: Path) -> dict[str, Any]:
    """What came of each request, by name."""
    ended = subprocess.run(
        ["node", "--input-type=module", "-e", READ_ALL],
        cwd=diff_sources,
        input=json.dumps(TAKEN | REFUSED),
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_package_of_a_registry_is_refused(name, read):
    """Flags, paths, addresses, aliases and repositories; no secret is told."""
    refusal = read[name]
    assert (refusal["code"], refusal["retry"]) == ("bad_request", False), refusal
    assert SECRET not in refusal["message"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("scoped", "version"), ("range", "range"), ("tag", "tag"), ("old", "version")],
)
def test_versions_ranges_and_tags_are_taken(name, kind, read):
    assert read[name]["type"] == kind


def test_credentials_are_taken_out_of_the_address(read):
    """What is before the host, decoded as basic auth has it; and what is no part of a registry."""
    assert read["basic"]["registry"] == "https://npm.test/api/"
    value = base64.b64encode(f"us@er:{SECRET}:%".encode()).decode()
    assert read["basic"]["credentials"] == {"key": "_auth", "value": value}
    assert read["plain"]["credentials"] is None


def test_a_token_is_stronger_than_the_address(read):
    bearer = {"key": "_authToken", "value": SECRET}
    assert [read[name]["credentials"] for name in ("token", "both", "default")] == [bearer] * 3


def test_the_default_is_npms(read):
    assert read["default"]["registry"] is None
