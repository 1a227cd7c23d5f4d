"""imageproof.commands.inputs: what changes a digest, what does not, and when nothing can be told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.commands import inputs
from imageproof.docker.composed import sources
from tests.support.sample_facts import contract

DOCKERFILE = """\
ARG PYTHON_BASE
FROM ${PYTHON_BASE} AS builder
RUN --mount=type=bind,from=builder,target=/x make
FROM scratch
COPY --from=builder /made /
COPY --from=0 /made /
"""
IGNORE = "*\n!app\n!ops/dockerfiles\n**/__pycache__\n**/*.pyc\napp/left\n"


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in {
        "Dockerfile": DOCKERFILE,
        ".dockerignore": IGNORE,
        "app/main.py": "",
        "README": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def _engine(root: Path, **build: Any) -> Any:
    model = {"services": {"shop": {"build": {"context": str(root), **build}}}}
    return SimpleNamespace(compose_files=(), compose_model=lambda interpolate: model)


def _images(root: Path, settings: dict[str, str] | None = None, **build: Any) -> str | None:
    terms = contract(root=root)
    return inputs.images(terms, sources(terms, _engine(root, **build)), settings or {})


def test_the_same_content_has_the_same_digest_whatever_its_times(root):
    before = _images(root)
    assert before is not None
    (root / "app/main.py").unlink()
    (root / "app/main.py").write_text("")
    assert _images(root) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app/main.py").write_text("x"),
        lambda root: (root / "app/main.py").chmod(0o755),
        lambda root: (root / "app/new").write_text(""),
        lambda root: (root / "app/new").mkdir(),
        lambda root: (root / "app/link").symlink_to("main.py"),
        lambda root: (root / "app/main.py").unlink(),
        lambda root: (root / "ops/dockerfiles").mkdir(parents=True),
        lambda root: (root / "Dockerfile").write_text(f"{DOCKERFILE}# more\n"),
    ],
    ids=["content", "mode", "file", "folder", "link", "gone", "let in again", "Dockerfile"],
)
def test_what_a_build_reads_changes_the_digest(root, change):
    before = _images(root)
    change(root)
    assert _images(root) not in (before, None)


@pytest.mark.parametrize(
    "name", ["README", "app/main.pyc", "app/__pycache__/x", "docs/x", "app/left/x"]
)
def test_what_is_left_out_of_the_context_does_not(root, name):
    before = _images(root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("changed")
    assert _images(root) == before


def test_a_pattern_that_is_not_understood_leaves_nothing_out(root):
    (root / ".dockerignore").write_text("*\n!a*\n*.tx?\n")
    before = _images(root)
    (root / "README").write_text("changed")
    changed = _images(root)
    assert changed != before
    (root / "x.txt").write_text("")
    assert _images(root) != changed


def test_an_exception_after_a_pattern_takes_its_effect(root):
    (root / ".dockerignore").write_text("app\n!app/main.py\n")
    before = _images(root)
    (root / "app/main.py").write_text("changed")
    assert _images(root) != before


def test_settings_of_the_build_change_the_digest(root):
    plain = _images(root)
    assert plain != _images(root, {"REVISION": "1"})
    assert plain != _images(root, args={"A": "1"})


@pytest.mark.parametrize(
    "line",
    [
        "FROM python:3.11",
        "FROM --platform=linux/amd64 python:3.11 AS more",
        "COPY --from=python:3.11 /x /",
        "RUN --mount=type=bind,from=python:3.11,target=/x true",
        "ADD https://files.invalid/x /",
        "ADD git@files.invalid:x.git /",
    ],
)
def test_what_may_be_another_tomorrow_is_never_remembered(root, line):
    (root / "Dockerfile").write_text(f"{DOCKERFILE}{line}\n")
    assert _images(root) is None


def test_an_image_by_its_digest_is_the_same_tomorrow(root):
    (root / "Dockerfile").write_text(f"{DOCKERFILE}FROM python@sha256:{'0' * 64}\n")
    assert _images(root) is not None


@pytest.mark.parametrize(
    "build",
    [
        {"additional_contexts": {"x": "../x"}},
        {"dockerfile_inline": "FROM scratch"},
        {"no_cache": True},
        {"pull": True},
        {"context": "https://git.invalid/x.git"},
    ],
    ids=lambda build: next(iter(build)),
)
def test_a_build_that_reads_from_elsewhere_is_never_remembered(root, build):
    assert _images(root, **build) is None


def test_an_ignore_file_of_one_dockerfile_is_not_understood(root):
    (root / "Dockerfile.dockerignore").write_text("app\n")
    assert _images(root) is None


# --- the project


def _git(root: Path) -> Callable[[], str | None]:
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text("ignored\n.env\n")
    return lambda: inputs.project(contract(root=root), _engine(root))


@pytest.mark.parametrize("name", ["README", "app/new.py", ".env", ".gitignore"])
def test_each_file_that_git_sees_and_the_environment_belong_to_the_project(root, name):
    digest = _git(root)
    before = digest()
    (root / name).write_text("changed")
    assert digest() not in (before, None)


def test_what_git_ignores_does_not(root):
    digest = _git(root)
    before = digest()
    (root / "ignored").write_text("changed")
    assert digest() == before


def test_the_stack_as_compose_reads_it_belongs_to_the_project(root):
    _git(root)
    one = inputs.project(contract(root=root), _engine(root))
    other = inputs.project(contract(root=root), _engine(root, args={"A": "from the environment"}))
    assert one != other


def test_the_toolkit_that_judges_belongs_to_the_project(root, tmp_path_factory, monkeypatch):
    digest = _git(root)
    before = digest()
    other = tmp_path_factory.mktemp("toolkit")
    (other / "check.py").write_text("")
    monkeypatch.setattr(inputs, "TOOLKIT", other)
    assert digest() != before


def test_outside_git_nothing_is_told(root, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    assert inputs.project(contract(root=root), _engine(root)) is None


def test_without_git_nothing_is_told(root, monkeypatch):
    digest = _git(root)
    monkeypatch.setenv("PATH", "/nowhere")
    assert digest() is None
