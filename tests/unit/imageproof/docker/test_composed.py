"""imageproof.docker.composed: what is kept of the compose file, what changes it, and what is never kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imageproof.commands.passed import FILE
from imageproof.docker.client import Engine
from imageproof.docker.composed import Source, sources
from tests.support.sample_facts import SECRET, contract

COMPOSE = """\
services:
  shop:
    image: shop:${TAG:-local}
    build: {context: ., args: [TOKEN]}
    environment: [LOG_LEVEL]
"""
MODEL = {
    "services": {
        "shop": {"image": "shop:local", "build": {"context": "/shop", "args": {"TOKEN": SECRET}}},
        "store": {"image": "redis@sha256:1"},
    }
}


@pytest.fixture
def asked(monkeypatch) -> list[Engine]:
    """Which engines were asked for Compose's model."""
    found: list[Engine] = []

    def compose_model(engine: Engine, *, interpolate: bool) -> dict[str, Any]:
        found.append(engine)
        return MODEL

    monkeypatch.setattr(Engine, "compose_model", compose_model)
    return found


@pytest.fixture
def file(tmp_path, asked) -> Path:
    """A compose file that was asked about once."""
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE)
    assert len(_ask(path)) == 2
    return path


def _ask(path: Path, **engine: Any) -> dict[str, Source]:
    return sources(contract(root=path.parent), Engine((path,), **engine))


def test_compose_is_asked_once(file, asked):
    found = _ask(file)
    assert len(asked) == 1
    assert (found["shop"].image, found["shop"].dockerfile) == ("shop:local", "/shop/Dockerfile")
    assert found["shop"].closed
    assert found["store"] == Source("redis@sha256:1", "", "", True, found["store"].digest)


@pytest.mark.parametrize(
    "name", ["TAG", "TOKEN", "LOG_LEVEL", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "HOME"]
)
def test_each_variable_that_compose_may_read_counts(file, asked, monkeypatch, name):
    monkeypatch.setenv(name, "other")
    _ask(file)
    assert len(asked) == 2
    _ask(file)
    assert len(asked) == 2
    monkeypatch.delenv(name)
    _ask(file, variables={name: "another"})
    assert len(asked) == 3


def test_a_variable_that_nothing_names_does_not(file, asked, monkeypatch):
    monkeypatch.setenv("SHLVL", "7")
    _ask(file)
    assert len(asked) == 1


def test_env_may_name_other_variables(file, asked, monkeypatch):
    (file.parent / ".env").write_text("TAG=${RELEASE}\n")
    _ask(file)
    assert len(asked) == 2
    monkeypatch.setenv("RELEASE", "7")
    _ask(file)
    assert len(asked) == 3


def test_the_file_its_place_and_the_project_count(file, asked):
    file.write_text(f"{COMPOSE}# more\n")
    _ask(file)
    assert len(asked) == 2
    _ask(file, project="other")
    assert len(asked) == 3
    terms, above = contract(root=file.parent), file.with_name("above.yaml")
    above.write_text("")
    sources(terms, Engine((file, above)))
    assert len(asked) == 4


@pytest.mark.parametrize(
    "line", ["include: [more.yaml]", "x: {extends: {file: x}}", '"env_file": x', "label_file: x"]
)
def test_what_brings_in_other_files_is_never_kept(file, asked, line):
    file.write_text(f"{COMPOSE}{line}\n")
    _ask(file)
    _ask(file)
    assert len(asked) == 3


def test_settings_that_are_elsewhere_are_never_kept(file, asked, monkeypatch):
    monkeypatch.setenv("COMPOSE_ENV_FILES", "other.env")
    _ask(file)
    _ask(file)
    assert len(asked) == 3


def test_nothing_of_a_build_argument_is_written(file):
    assert SECRET not in (file.parent / FILE).read_text()


def test_what_was_kept_and_is_damaged_counts_as_none(file, asked):
    path = file.parent / FILE
    document = json.loads(path.read_text())
    document["composed"]["result"] = {"services": {"shop": {"image": 7, "other": 8}}}
    path.write_text(json.dumps(document))
    assert _ask(file)["shop"].image == "shop:local"
    assert len(asked) == 2


def test_a_file_that_is_not_there_is_composes_affair(tmp_path, asked):
    _ask(tmp_path / "compose.yaml")
    _ask(tmp_path / "compose.yaml")
    assert len(asked) == 2
