"""imageproof.commands.cached_results: what is remembered, and what is as good as forgotten."""

from __future__ import annotations

import pytest

from imageproof.commands.cached_results import FILE, CachedResults


def test_what_a_step_came_to_is_found_on_the_same_inputs_only(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", "a", said="all well")
    passed.store("build", "b", ids={"api": "sha256:1"})
    assert passed.find("lint", "a") == {"said": "all well"}
    assert passed.find("build", "b") == {"ids": {"api": "sha256:1"}}
    assert passed.find("lint", "b") is None
    assert passed.find("verify", "a") is None


def test_the_last_run_alone_is_remembered(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", "a")
    passed.store("lint", "b")
    assert passed.find("lint", "a") is None
    assert passed.find("lint", "b") == {}


def test_inputs_that_nobody_knows_are_never_the_same(tmp_path):
    passed = CachedResults(tmp_path)
    passed.store("lint", None)
    assert passed.find("lint", None) is None
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"lint": 7}', '{"lint": {"inputs": "a"}}', "[" * 100_000, "\0"]
)
def test_a_damaged_file_counts_as_none_and_is_written_anew(tmp_path, text):
    passed = CachedResults(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text)
    assert passed.find("lint", "a") is None
    passed.store("lint", "a")
    assert passed.find("lint", "a") == {}


def test_a_place_that_cannot_be_written_costs_no_more_than_time(tmp_path):
    (tmp_path / ".imageproof").write_text("a file")
    CachedResults(tmp_path).store("lint", "a")
    assert CachedResults(tmp_path).find("lint", "a") is None
