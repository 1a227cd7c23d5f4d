"""Tests of parsing image references, registry prefixes and tags."""

from __future__ import annotations

import pytest

from imageproof.errors import UsageError
from imageproof.registry.reference import Reference, parse_prefix, parse_reference, parse_tag

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.test/api:1", Reference("registry.test", "api", "1")),
        (
            "registry.test:5000/a/b_c/d-e:v1.0-x",
            Reference("registry.test:5000", "a/b_c/d-e", "v1.0-x"),
        ),
        ("registry.test/api", Reference("registry.test", "api", "latest")),
        (f"registry.test/api@{DIGEST}", Reference("registry.test", "api", digest=DIGEST)),
        (f"registry.test/api:1@{DIGEST}", Reference("registry.test", "api", "1", DIGEST)),
        ("localhost/api:1", Reference("localhost", "api", "1")),
        ("box:5000/api:1", Reference("box:5000", "api", "1")),
        ("127.0.0.1:5000/api:1", Reference("127.0.0.1:5000", "api", "1")),
        ("[::1]:5000/api:1", Reference("[::1]:5000", "api", "1")),
    ],
)
def test_reference_is_parsed(text, expected):
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api",
        "api:1",
        "gate/api:1",
        "registry.test",
        "registry.test/",
        "registry.test/API:1",
        "https://registry.test/api",
        "registry.test/a//b",
        "registry.test/../b",
        "registry.test/a b",
        "registry.test/api@sha256:0",
        "user:word@registry.test/api",
        f"registry.test/api:{'x' * 129}",
        "registry.test/api:1\n",
        "-registry.test/api:1",
        "registry.test/api?x=1",
    ],
)
def test_invalid_reference_is_refused(text):
    with pytest.raises(UsageError):
        parse_reference(text)


def test_digest_replaces_the_tag():
    reference = parse_reference("registry.test/api:1").with_digest(DIGEST)
    assert str(reference) == f"registry.test/api@{DIGEST}"


def test_prefix_requires_a_host():
    assert parse_prefix("registry.test:5000/gate/") == "registry.test:5000/gate"
    assert parse_prefix("localhost:5000") == "localhost:5000"
    for text in ("gate", "https://registry.test", "registry.test/gate:1", ""):
        with pytest.raises(UsageError):
            parse_prefix(text)


def test_tag_is_validated():
    assert parse_tag("v1.0-rc_1") == "v1.0-rc_1"
    for text in ("", "a b", "-a", "a:b", "a@b", "x" * 129, "ä"):
        with pytest.raises(UsageError):
            parse_tag(text)
