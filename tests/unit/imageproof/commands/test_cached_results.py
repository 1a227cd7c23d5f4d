"""imageproof.commands.cached_results: what is remembered, and what is as good as forgotten."""

from __future__ import annotations

import pytest

from imageproof.commands.cached_results import FILE, CachedResults


def test_result_is_found_for_the_same_inputs_only(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", "a", said="all well")
    passed.store("build", "b", ids={"api": "sha256:1"})
    assert passed.find("lint", "a") == {"said": "all well"}
    assert passed.find("build", "b") == {"ids": {"api": "sha256:1"}}
    assert passed.find("lint", "b") is None
    assert passed.find("verify", "a") is None


def test_only_the_last_result_is_stored(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", "a")
    passed.store("lint", "b")
    assert passed.find("lint", "a") is None
    assert passed.find("lint", "b") == {}


def test_unknown_inputs_are_never_cached(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", None)
    assert passed.find("lint", None) is None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"lint": 7}', '{"lint": {"inputs": "a"}}', "[" * 100_000, "\0"]
)
def test_damaged_file_counts_as_empty_and_is_replaced(tmp_path, text):
    passed = CachedResults(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text)
    assert passed.find("lint", "a") is None
    passed.store("lint", "a")
    assert passed.find("lint", "a") == {}


def test_unwritable_folder_is_ignored(tmp_path):
    (tmp_path / ".imageproof").write_text("a file")
    CachedResults(tmp_path).store("lint", "a")
    assert CachedResults(tmp_path).find("lint", "a") is None
