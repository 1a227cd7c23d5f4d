"""imageproof.deep.canary: a canary is found in whatever form it lies, and nothing else is."""

from __future__ import annotations

import base64
import gzip

import pytest

from imageproof.deep import canary
from imageproof.deep.canary import Search

VALUE = "canary-0f1e2d3c4b5a69788796a5b4"  # fixed: it is in the names of tests
SEARCH = Search({"pip": VALUE})
RAW = VALUE.encode()


def test_no_two_canaries_are_the_same():
    one, two = canary.make(), canary.make()
    assert one != two
    assert len(one) == len(two) == len(VALUE)


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
def test_it_is_found_in_each_form(content, form):
    assert SEARCH.chunks([b"before " + content + b" after"]) == {("pip", form)}


@pytest.mark.parametrize("at", range(1, len(RAW)))
def test_it_is_found_across_the_border_of_two_chunks(at):
    assert SEARCH.chunks([b"x" * 99 + RAW[:at], RAW[at:] + b"y" * 99]) == {("pip", "plain")}


def test_it_is_found_in_crumbs():
    assert SEARCH.chunks(bytes([byte]) for byte in b"--" + RAW + b"--") == {("pip", "plain")}


@pytest.mark.parametrize(
    "content", [b"", b"canary-", RAW[:-1], RAW[1:], base64.b64encode(RAW[:20])]
)
def test_what_only_resembles_it_is_not_found(content):
    assert SEARCH.chunks([content]) == set()


def test_nothing_is_looked_for_where_there_is_no_canary():
    assert Search({}).chunks([RAW]) == set()


def test_each_canary_has_its_name():
    other = canary.make()
    found = Search({"pip": VALUE, "npm": other}).chunks([RAW + other.encode()])
    assert found == {("pip", "plain"), ("npm", "plain")}


def test_a_gzipped_file_is_looked_into():
    packed = gzip.compress(b"x" * 3_000_000 + RAW)
    assert RAW not in packed
    assert SEARCH.file(iter([packed])) == {("pip", "plain")}


def test_so_is_a_second_member():
    packed = gzip.compress(b"first") + gzip.compress(RAW)
    assert SEARCH.file(iter([packed])) == {("pip", "plain")}


def test_a_broken_gzip_file_is_read_as_far_as_it_goes():
    packed = gzip.compress(RAW + bytes(100_000), 0)[:-50_000]
    assert SEARCH.file(iter([packed])) == {("pip", "plain")}
    assert SEARCH.file(iter([b"\x1f\x8b\x08 not gzip"])) == set()


def test_a_file_without_end_is_left_at_the_bound(monkeypatch):
    monkeypatch.setattr(canary, "INFLATED", 1 << 20)
    packed = gzip.compress(bytes(40 << 20) + RAW)
    assert SEARCH.file(iter([packed])) == set()
