"""Cached results: found for the same inputs, and never trusted when damaged."""

from __future__ import annotations

import pytest

from imageproof.commands.cached_results import FILE, CachedResults


def test_result_is_found_for_the_same_inputs_only(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", "a", said="all well")
    cache.store("build", "b", ids={"api": "sha256:1"})
    assert cache.find("lint", "a") == {"said": "all well"}
    assert cache.find("build", "b") == {"ids": {"api": "sha256:1"}}
    assert cache.find("lint", "b") is None
    assert cache.find("verify", "a") is None


def test_only_the_last_result_is_stored(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", "a")
    cache.store("lint", "b")
    assert cache.find("lint", "a") is None
    assert cache.find("lint", "b") == {}


def test_unknown_inputs_are_never_cached(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", None)
    assert cache.find("lint", None) is None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"lint": 7}', '{"lint": {"inputs": "a"}}', "[" * 100_000, "\0"]
)
def test_damaged_file_counts_as_empty_and_is_replaced(tmp_path, text):
    cache = CachedResults(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text)
    assert cache.find("lint", "a") is None
    cache.store("lint", "a")
    assert cache.find("lint", "a") == {}


def test_unwritable_folder_is_ignored(tmp_path):
    (tmp_path / ".imageproof").write_text("a file")
    CachedResults(tmp_path).store("lint", "a")
    assert CachedResults(tmp_path).find("lint", "a") is None
