"""Tests of cached results: found for the same inputs only, ignored if damaged."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.build.git import run_git
from imageproof.commands.cached_results import RESULTS_FILE, CachedResults, project_fingerprint
from imageproof.user_cache import open_folder
from tests.support.sample_facts import contract, service_contract


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
    root = tmp_path / "project"
    root.mkdir()
    run_git(root, "init", "--quiet")
    return root


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
    engine = _engine({})
    before = project_fingerprint(contract(root=project), engine)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("x")
    assert (project_fingerprint(contract(root=project), engine) != before) is counts


def _engine(model: dict[str, Any]) -> Any:
    return SimpleNamespace(compose_model=lambda **_: model, compose_files=())


def _images(**changes: Any) -> dict[str, Any]:
    return {"shop": service_contract(**changes)}


@pytest.mark.parametrize(
    ("path", "keys", "model"),
    [
        ("env.sample", {"env_example": "env.sample"}, {}),
        (".env.example", {}, {}),
        ("lock.txt", {"images": _images(lock="lock.txt")}, {}),
        ("npm.json", {"images": _images(npm_lock="npm.json")}, {}),
        ("sizes.json", {"baseline": "sizes.json"}, {}),
        ("stack.yaml", {"stack": "stack.yaml"}, {}),
        ("watch.yaml", {"watch": "watch.yaml"}, {}),
        ("pyproject.toml", {}, {}),
        ("sub/Dockerfile", {}, {}),
        ("../docker/Dockerfile", {}, {"build": {"dockerfile": "../docker/Dockerfile"}}),
        ("../docker/Dockerfile", {}, {"build": {"context": "../docker"}}),
        ("../docker/Dockerfile", {}, {"build": "../docker"}),
        ("../docker/.dockerignore", {}, {"build": "../docker"}),
        ("../web.env", {}, {"env_file": "../web.env"}),
        ("../web.env", {}, {"env_file": ["../web.env"]}),
        ("../web.env", {}, {"env_file": [{"path": "../web.env", "required": False}]}),
        ("../base.yaml", {}, {"extends": {"file": "../base.yaml", "service": "web"}}),
        ("nginx.conf", {}, {"volumes": [{"type": "bind", "source": "nginx.conf"}]}),
    ],
)
def test_ignored_or_outside_file_that_is_named_is_an_input(project, path, keys, model):
    (project / ".gitignore").write_text("*\n")
    engine = _engine({"services": {"shop": model}})
    fingerprints = set()
    for content in ("one", "two", None):
        file = project / path
        file.parent.mkdir(exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        fingerprints.add(project_fingerprint(contract(root=project, **keys), engine))
    assert None not in fingerprints
    assert len(fingerprints) == 3


@pytest.mark.parametrize("is_folder", [False, True])
def test_content_behind_a_link_is_an_input(project, tmp_path_factory, is_folder):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "Dockerfile").write_text("one")
    (project / "docker").symlink_to(outside if is_folder else outside / "Dockerfile")
    before = project_fingerprint(contract(root=project), _engine({}))
    (outside / "Dockerfile").write_text("two")
    assert project_fingerprint(contract(root=project), _engine({})) not in (before, None)


def test_files_of_a_nested_repository_are_inputs(project):
    nested = project / "nested"
    nested.mkdir()
    run_git(nested, "init", "--quiet")
    (nested / "Dockerfile").write_text("one")
    settings = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    run_git(nested, "add", ".")
    run_git(nested, *settings, "commit", "--quiet", "-m", "Add")
    for add in (False, True):  # as an untracked repository, and as a submodule
        if add:
            run_git(project, "add", "nested")
        (nested / "Dockerfile").write_text("one")
        before = project_fingerprint(contract(root=project), _engine({}))
        (nested / "Dockerfile").write_text("two")
        assert project_fingerprint(contract(root=project), _engine({})) not in (before, None)


def test_link_to_a_folder_of_links_to_folders_is_not_cached(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "loop").symlink_to(outside)
    (project / "link").symlink_to(outside)
    assert project_fingerprint(contract(root=project), _engine({})) is None


def test_settings_class_of_unknown_place_is_not_cached(project, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    images = _images(environment={"settings": "shop.config:Settings"})
    settled = contract(root=project, images=images)
    assert project_fingerprint(settled, _engine({})) is None, "an installed module"
    (project / "shop").mkdir()
    (project / "shop/config.py").write_text("")
    assert project_fingerprint(settled, _engine({})) is not None
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert project_fingerprint(settled, _engine({})) is None
    monkeypatch.delenv("PYTHONPATH")
    (project / ".gitignore").write_text("shop\n")
    assert project_fingerprint(settled, _engine({})) is None, "an ignored module"


def test_pipe_as_an_input_does_not_hang(project):
    os.mkfifo(project / ".env")
    assert project_fingerprint(contract(root=project), _engine({})) is not None


def test_watched_folder_is_no_input(project):
    (project / ".gitignore").write_text("src\n")
    (project / "src").mkdir()
    engine = _engine({"develop": {"watch": [{"path": "src"}]}})
    before = project_fingerprint(contract(root=project), engine)
    (project / "src/ignored").write_text("x")
    assert before is not None
    assert project_fingerprint(contract(root=project), engine) == before
