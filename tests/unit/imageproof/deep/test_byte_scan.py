"""Tests of the byte scan: files of two builds are compared, and every byte is searched."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from imageproof.deep import canary
from imageproof.deep.byte_scan import Scan, differing_paths, scan
from imageproof.deep.canary import CanarySearch
from imageproof.errors import ImageproofError

VALUE = canary.make()
SEARCH = CanarySearch({"pip": VALUE})
Entries = dict[str, bytes | dict[str, Any]]


def _tar(entries: Entries) -> bytes:
    """Return a layer from paths and their contents, or attributes of their TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, entry in entries.items():
            member = tarfile.TarInfo(path)
            content = entry if isinstance(entry, bytes) else b""
            member.size = len(content)
            for name, value in entry.items() if isinstance(entry, dict) else ():
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


def test_layers_are_in_order_with_their_instructions():
    result = _scan(_tar({"a": b"1"}), _tar({"b": b"2"}))
    assert [(layer.instruction, list(layer.entries)) for layer in result.layers] == [
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
def test_canary_is_found_in_each_part_of_a_layer(entries):
    (layer,) = _scan(_tar({"good": b"good"} | entries)).layers
    assert list(layer.matches) == [next(iter(entries))]


def test_compressed_layer_is_searched():
    (layer,) = _scan(gzip.compress(_tar({"etc/x": VALUE.encode()}))).layers
    assert layer.matches == {"etc/x": {("pip", "plain")}}


def test_canary_is_found_in_the_configuration():
    result = _scan(_tar({"a": b""}), config={"Env": [f"PIP={VALUE}"]})
    assert result.configuration == {("pip", "plain")}
    assert not result.layers[0].matches


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
    ids=["content", "mode", "owner", "date", "type", "attribute"],
)
def test_file_with_another_property_differs(other):
    same = {"same": b"same"}
    layers = _scan(_tar({"a": b""} | same), _tar({"a": other} | same)).layers
    assert differing_paths(*layers) == ("a",)


def test_file_of_only_one_layer_differs():
    assert differing_paths(*_scan(_tar({"a": b"", "b": b""}), _tar({"a": b""})).layers) == ("b",)


def test_order_of_entries_makes_no_difference():
    layers = _scan(_tar({"a": b"1", "b": b"2"}), _tar({"b": b"2", "a": b"1"})).layers
    assert differing_paths(*layers) == ()


def test_layer_without_entries_is_scanned():
    (layer,) = _scan(_tar({})).layers
    assert layer.entries == {}


@pytest.mark.parametrize("content", [b"", b"nothing", _tar({"a": b"{"})])
def test_invalid_image_is_refused(content):
    with pytest.raises((ImageproofError, KeyError, ValueError)):
        scan(iter([content]), SEARCH)
