"""imageproof.deep.byte_scan: each file of two builds is compared, and every place is searched."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from imageproof.deep import canary
from imageproof.deep.byte_scan import Scan, differing, scan
from imageproof.deep.canary import Search
from imageproof.errors import ImageproofError

VALUE = canary.make()
SEARCH = Search({"pip": VALUE})
Entries = dict[str, bytes | dict[str, Any]]


def _tar(entries: Entries) -> bytes:
    """A layer: path to content, or to what a TarInfo is given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, what in entries.items():
            member = tarfile.TarInfo(path)
            content = what if isinstance(what, bytes) else b""
            member.size = len(content)
            for name, value in what.items() if isinstance(what, dict) else ():
                setattr(member, name, value)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _saved(*layers: bytes, config: dict[str, Any] | None = None) -> Iterator[bytes]:
    names = [f"blobs/sha256/{number}" for number in range(len(layers))]
    history = [{"created_by": f"COPY {n} /"} for n in range(len(layers))]
    documents = {
        "config.json": {"history": [*history, {"created_by": "CMD", "empty_layer": True}]}
        | (config or {}),
        "manifest.json": [{"Config": "config.json", "Layers": names}],
    }
    blobs = {name: json.dumps(document).encode() for name, document in documents.items()}
    yield _tar(dict(zip(names, layers, strict=True)) | blobs)


def _scan(*layers: bytes, **config: Any) -> Scan:
    return scan(_saved(*layers, config=config), SEARCH)


def test_layers_come_in_their_order_with_what_made_them():
    found = _scan(_tar({"a": b"1"}), _tar({"b": b"2"}))
    assert [(layer.instruction, list(layer.entries)) for layer in found.layers] == [
        ("COPY 0 /", ["a"]),
        ("COPY 1 /", ["b"]),
    ]


@pytest.mark.parametrize(
    "entries",
    [
        {"etc/x": b"key=" + VALUE.encode()},
        {"etc/x": gzip.compress(VALUE.encode())},
        {f"etc/{VALUE}": b""},
        {"etc/x": {"type": tarfile.SYMTYPE, "linkname": VALUE}},
    ],
    ids=["content", "gzip", "name", "link"],
)
def test_a_canary_is_found_wherever_it_lies_in_a_layer(entries):
    (layer,) = _scan(_tar({"good": b"good"} | entries)).layers
    assert list(layer.found) == [next(iter(entries))]


def test_a_layer_may_be_compressed():
    (layer,) = _scan(gzip.compress(_tar({"etc/x": VALUE.encode()}))).layers
    assert layer.found == {"etc/x": {("pip", "plain")}}


def test_a_canary_is_found_in_the_configuration():
    found = _scan(_tar({"a": b""}), config={"Env": [f"PIP={VALUE}"]})
    assert found.configuration == {("pip", "plain")}
    assert not found.layers[0].found


@pytest.mark.parametrize(
    "other",
    [
        b"two",
        {"mode": 0o600},
        {"uid": 1},
        {"mtime": 1},
        {"type": tarfile.DIRTYPE},
        {"pax_headers": {"SCHILY.xattr.security.capability": "x"}},
    ],
    ids=["content", "mode", "owner", "date", "kind", "attribute"],
)
def test_whatever_is_not_the_same_is_a_difference(other):
    same = {"same": b"same"}
    layers = _scan(_tar({"a": b""} | same), _tar({"a": other} | same)).layers
    assert differing(*layers) == ("a",)


def test_a_file_that_one_alone_has_is_a_difference():
    assert differing(*_scan(_tar({"a": b"", "b": b""}), _tar({"a": b""})).layers) == ("b",)


def test_another_order_is_none():
    layers = _scan(_tar({"a": b"1", "b": b"2"}), _tar({"b": b"2", "a": b"1"})).layers
    assert differing(*layers) == ()


def test_an_empty_layer_is_a_layer():
    (layer,) = _scan(_tar({})).layers
    assert layer.entries == {}


@pytest.mark.parametrize("content", [b"", b"nothing", _tar({"a": b"{"})])
def test_what_is_no_image_is_refused(content):
    with pytest.raises((ImageproofError, KeyError, ValueError)):
        scan(iter([content]), SEARCH)
