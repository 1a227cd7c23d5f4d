"""Tests of the choice of compose files. tests/e2e/ compares it with that of Compose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imageproof.contract import Contract
from imageproof.docker.compose_files import describe_files_in_use, files_in_use
from imageproof.errors import ConfigurationError
from tests.support.sample_facts import contract


@pytest.fixture(autouse=True)
def _no_compose_variables(monkeypatch, tmp_path) -> None:
    for name in [name for name in os.environ if name.startswith("COMPOSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _project(folder: Path, *files: str, compose: str = "compose.yaml") -> Contract:
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return contract(root=folder, compose=compose)


def _names(project: Contract) -> list[str]:
    return [str(file.relative_to(project.root)) for file in files_in_use(project)]


def test_files_do_not_depend_on_the_current_folder(tmp_path, monkeypatch):
    project = _project(tmp_path, "compose.yaml", "ca.yaml")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("COMPOSE_FILE", "compose.yaml:ca.yaml")
    assert _names(project) == ["compose.yaml", "ca.yaml"]


@pytest.mark.parametrize(
    ("files", "compose", "expected"),
    [
        (("docker-compose.yml", "docker-compose.override.yml"), "docker-compose.yml", 2),
        (("docker-compose.yml", "compose.override.yaml"), "docker-compose.yml", 2),
        (("deploy/compose.yml", "deploy/compose.override.yml"), "deploy/compose.yml", 2),
        # Compose pairs an override with the file of its own choice only.
        (("production.yaml", "compose.override.yaml"), "production.yaml", 1),
        (("compose.yaml", "docker-compose.yml", "compose.override.yml"), "docker-compose.yml", 1),
        (("deploy/compose.yml", "compose.override.yml"), "deploy/compose.yml", 1),
    ],
)
def test_override_is_read_beside_the_file_that_compose_chooses(files, compose, expected, tmp_path):
    assert len(_names(_project(tmp_path, *files, compose=compose))) == expected


def test_empty_variable_counts_as_unset(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("COMPOSE_FILE=ca.yaml\n")
    monkeypatch.setenv("COMPOSE_FILE", "")
    assert _names(_project(tmp_path, "compose.yaml", "ca.yaml")) == ["compose.yaml"]


@pytest.mark.parametrize("value", ["absent.yaml", "compose.yaml:absent.yaml", "compose.yaml:", "-"])
def test_missing_file_is_named(value, tmp_path, monkeypatch):
    project = _project(tmp_path, "compose.yaml")
    monkeypatch.setenv("COMPOSE_FILE", value)
    with pytest.raises(ConfigurationError, match="COMPOSE_FILE") as caught:
        files_in_use(project)
    assert caught.value.status == 2
    assert "COMPOSE_FILE" in (caught.value.hint or "")


def test_only_what_differs_from_the_contract_is_described(tmp_path, monkeypatch):
    project = _project(tmp_path, "compose.yaml")
    assert describe_files_in_use(project) is None
    _project(tmp_path, "compose.override.yaml")
    assert describe_files_in_use(project) == "compose files: compose.yaml, compose.override.yaml"
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=debug\nTAG=2\n")
    monkeypatch.setenv("COMPOSE_FILE", "compose.yaml")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "second")
    assert describe_files_in_use(project) == (
        "profiles: debug (COMPOSE_PROFILES); project: second (COMPOSE_PROJECT_NAME)"
    )
