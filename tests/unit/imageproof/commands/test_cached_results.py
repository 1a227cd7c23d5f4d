"""Tests of cached results: found for the same inputs only, ignored if damaged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.build.git import run_git
from imageproof.commands.cached_results import RESULTS_FILE, CachedResults, project_fingerprint
from imageproof.user_cache import open_folder
from tests.support.sample_facts import contract


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
    (tmp_path / RESULTS_FILE).write_text(text)
    assert cache.find("lint", "a") is None
    cache.store("lint", "a", "lint")
    assert cache.find("lint", "a") is not None


def test_unwritable_folder_is_ignored(tmp_path):
    (tmp_path / "file").write_text("a file")
    CachedResults(tmp_path / "file").store("lint", "a", "lint")
    assert CachedResults(tmp_path / "file").find("lint", "a") is None


def test_nothing_is_cached_without_a_folder():
    CachedResults(None).store("lint", "a", "lint")
    assert CachedResults(None).find("lint", "a") is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_results_that_others_may_write_are_ignored(tmp_path, mode):
    cache = CachedResults(tmp_path)
    cache.store("lint", "a", "lint")
    (tmp_path / RESULTS_FILE).chmod(mode)
    assert cache.find("lint", "a") is None


def test_committed_results_are_ignored(project):
    """Neither a folder in the repository nor one that it links to is read."""
    for folder in (".imageproof", ".imageproof/cache", ".cache/imageproof"):
        CachedResults(project / folder).store("lint", "a", "lint")
    assert CachedResults(open_folder(project)).find("lint", "a") is None


@pytest.fixture
def project(tmp_path):
    """Return the folder of a project that is a git repository."""
    run_git(tmp_path, "init", "--quiet")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (".imageproof/logs/shop/web.log", False),
        (".imageproof/sbom/web.json", False),
        (".imageproof/release.json", False),
        (".imageproof/sizes.json", True),
        (".imageproof/Dockerfile", True),
        ("Dockerfile", True),
    ],
)
def test_fingerprint_leaves_out_only_outputs(project, path, counts):
    engine: Any = SimpleNamespace(compose_model=lambda **_: {})
    before = project_fingerprint(contract(root=project), engine)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("x")
    assert (project_fingerprint(contract(root=project), engine) != before) is counts
