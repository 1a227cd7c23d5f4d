"""Tests of canaries: the search finds each encoded form, and nothing else."""

from __future__ import annotations

import base64
import gzip

import pytest

from imageproof.deep import canary
from imageproof.deep.canary import CanarySearch

VALUE = "canary-0f1e2d3c4b5a69788796a5b4"  # fixed, because it is part of test names
SEARCH = CanarySearch({"pip": VALUE})
RAW = VALUE.encode()


def test_each_canary_is_different():
    first, second = canary.make(), canary.make()
    assert first != second
    assert len(first) == len(second) == len(VALUE)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"x" + RAW + b"y", "plain"),
        (RAW.hex().encode(), "hex"),
        (RAW.hex().upper().encode(), "hex"),
        *((base64.b64encode(b"[" * before + RAW + b"]]"), "base64") for before in range(7)),
        (base64.urlsafe_b64encode(b"\xff\xfe" + RAW + b"\xff\xfe"), "base64"),
    ],
)
def test_canary_is_found_in_each_form(content, form):
    assert SEARCH.find_in_chunks([b"before " + content + b" after"]) == {("pip", form)}


@pytest.mark.parametrize("offset", range(1, len(RAW)))
def test_canary_is_found_across_two_chunks(offset):
    chunks = [b"x" * 99 + RAW[:offset], RAW[offset:] + b"y" * 99]
    assert SEARCH.find_in_chunks(chunks) == {("pip", "plain")}


def test_canary_is_found_in_chunks_of_one_byte():
    assert SEARCH.find_in_chunks(bytes([byte]) for byte in b"--" + RAW + b"--") == {
        ("pip", "plain")
    }


@pytest.mark.parametrize(
    "content", [b"", b"canary-", RAW[:-1], RAW[1:], base64.b64encode(RAW[:20])]
)
def test_part_of_a_canary_is_not_found(content):
    assert SEARCH.find_in_chunks([content]) == set()


def test_search_without_canaries_finds_nothing():
    assert CanarySearch({}).find_in_chunks([RAW]) == set()


def test_each_match_names_its_canary():
    other = canary.make()
    search = CanarySearch({"pip": VALUE, "npm": other})
    assert search.find_in_chunks([RAW + other.encode()]) == {("pip", "plain"), ("npm", "plain")}


def test_gzip_file_is_inflated():
    packed = gzip.compress(b"x" * 3_000_000 + RAW)
    assert RAW not in packed
    assert SEARCH.find_in_file(iter([packed])) == {("pip", "plain")}


def test_second_gzip_member_is_inflated():
    packed = gzip.compress(b"first") + gzip.compress(RAW)
    assert SEARCH.find_in_file(iter([packed])) == {("pip", "plain")}


def test_damaged_gzip_file_is_searched_up_to_the_damage():
    packed = gzip.compress(RAW + bytes(100_000), 0)[:-50_000]
    assert SEARCH.find_in_file(iter([packed])) == {("pip", "plain")}
    assert SEARCH.find_in_file(iter([b"\x1f\x8b\x08 not gzip"])) == set()


def test_inflating_stops_at_the_size_limit(monkeypatch):
    monkeypatch.setattr(canary, "MAX_INFLATED_BYTES", 1 << 20)
    packed = gzip.compress(bytes(40 << 20) + RAW)
    assert SEARCH.find_in_file(iter([packed])) == set()
