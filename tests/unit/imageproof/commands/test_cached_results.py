"""Tests of cached results: found for the same inputs only, ignored if damaged."""

from __future__ import annotations

import pytest

from imageproof.commands.cached_results import RESULTS_FILE, CachedResults


def test_result_is_found_for_the_same_inputs_only(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", "a", "all well")
    cache.store("static", "b", "verify: 3 pass")
    lint, static = cache.find("lint", "a"), cache.find("static", "b")
    assert lint is not None
    assert static is not None
    assert (lint.summary, static.summary) == ("all well", "verify: 3 pass")
    assert cache.find("lint", "b") is None
    assert cache.find("verify", "a") is None


def test_only_the_last_result_is_stored(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", "a", "first")
    cache.store("lint", "b", "second")
    assert cache.find("lint", "a") is None
    assert cache.find("lint", "b") is not None


def test_unknown_inputs_are_never_cached(tmp_path):
    cache = CachedResults(tmp_path)
    cache.store("lint", None, "lint")
    assert cache.find("lint", None) is None
    assert not (tmp_path / RESULTS_FILE).exists()


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"lint": 7}', '{"lint": {"inputs": "a"}}', "[" * 100_000, "\0"),
        '{"lint": {"inputs": "a", "summary": 7, "at": "noon"}}',
    ],
)
def test_damaged_file_counts_as_empty_and_is_replaced(tmp_path, text):
    cache = CachedResults(tmp_path)
    (tmp_path / RESULTS_FILE).parent.mkdir()
    (tmp_path / RESULTS_FILE).write_text(text)
    assert cache.find("lint", "a") is None
    cache.store("lint", "a", "lint")
    assert cache.find("lint", "a") is not None


def test_unwritable_folder_is_ignored(tmp_path):
    (tmp_path / ".imageproof").write_text("a file")
    CachedResults(tmp_path).store("lint", "a", "lint")
    assert CachedResults(tmp_path).find("lint", "a") is None
