"""Compose files in use, and what they change, compared with what `docker compose` itself reads."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imageproof.contract import Contract
from imageproof.docker.client import Engine
from imageproof.docker.compose_files import files_in_use
from imageproof.project.override_files import describe_overrides
from tests.support.sample_facts import contract

ALL_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


@pytest.fixture(autouse=True)
def _no_compose_variables(monkeypatch, tmp_path) -> None:
    for name in [name for name in os.environ if name.startswith("COMPOSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _project(folder: Path, *files: str, compose: str = "compose.yaml") -> Contract:
    """Write compose files, each with a service of its own."""
    for name in files:
        service = name.replace("/", "-").replace(".", "-")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(
            f"services:\n  {service}: {{image: 'x:${{TAG:-1}}', profiles: [$PROFILE]}}\n"
            if "profile" in name
            else f"services:\n  {service}: {{image: 'x:${{TAG:-1}}'}}\n"
        )
    return contract(root=folder, compose=compose)


@pytest.mark.parametrize(
    ("files", "dotenv", "variables"),
    [
        (("compose.yaml",), "", {}),
        (("compose.yaml", "compose.override.yaml"), "", {}),
        (("compose.yaml", *ALL_OVERRIDES), "", {}),
        (("compose.yaml", *ALL_OVERRIDES[1:]), "", {}),
        (("compose.yaml", *ALL_OVERRIDES[2:]), "", {}),
        (("compose.yaml", ALL_OVERRIDES[3]), "", {}),
        (("compose.yaml", "ca.yaml"), "COMPOSE_FILE=compose.yaml:ca.yaml\n", {}),
        (("compose.yaml", "ca.yaml"), "", {"COMPOSE_FILE": "compose.yaml:ca.yaml"}),
        (("compose.yaml", "compose.override.yaml"), "", {"COMPOSE_FILE": "compose.yaml"}),
        (("compose.yaml", "ca.yaml"), "", {"COMPOSE_FILE": "ca.yaml"}),
        (("compose.yaml", "ca.yaml"), "COMPOSE_FILE=ca.yaml", {"COMPOSE_FILE": "compose.yaml"}),
        (
            ("compose.yaml", "ca.yaml"),
            "COMPOSE_FILE='compose.yaml,ca.yaml'\nCOMPOSE_PATH_SEPARATOR=,\n",
            {},
        ),
        (
            ("compose.yaml", "ca.yaml"),
            "",
            {"COMPOSE_FILE": "compose.yaml;ca.yaml", "COMPOSE_PATH_SEPARATOR": ";"},
        ),
        (("compose.yaml", "more/ca.yaml"), "", {"COMPOSE_FILE": "compose.yaml:more/ca.yaml"}),
        (("compose.yaml",), "COMPOSE_PROJECT_NAME=from-the-file\nTAG=2\n", {}),
        (("compose.yaml",), "", {"COMPOSE_PROJECT_NAME": "from-the-process", "TAG": "3"}),
        (("compose.yaml", "profile.yaml"), "PROFILE=p", {"COMPOSE_FILE": "profile.yaml"}),
        (
            ("compose.yaml", "profile.yaml"),
            "PROFILE=p\nCOMPOSE_PROFILES=p",
            {"COMPOSE_FILE": "compose.yaml:profile.yaml"},
        ),
        (("compose.yaml",), "TAG=2", {"COMPOSE_ENV_FILES": "other.env"}),
        (("compose.yaml", "ca.yaml"), "TAG=2", {"COMPOSE_ENV_FILES": ".env,files.env"}),
    ],
)
def test_files_are_those_that_compose_reads(files, dotenv, variables, tmp_path, monkeypatch):
    project = _project(tmp_path, *files)
    (tmp_path / ".env").write_text(dotenv)
    (tmp_path / "other.env").write_text("TAG=9\n")
    (tmp_path / "files.env").write_text("COMPOSE_FILE=compose.yaml:ca.yaml\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = ["docker", "compose", "config", "--format=json"]
    by_compose: Any = json.loads(subprocess.check_output(command, stderr=subprocess.DEVNULL))
    assert Engine(files_in_use(project)).compose_model(interpolate=True) == by_compose


# --- what override files change

COMPOSE = """
name: shop
services:
  api:
    image: shop/api:1
    user: "10001"
    environment: { A: "1", B: "2" }
    volumes: ["data:/data"]
  worker: { image: "shop/worker:1" }
volumes: { data: }
"""
CA = """
services:
  api:
    volumes: ["./ca.pem:/ca.pem:ro"]
    environment: { SSL_CERT_FILE: /ca.pem }
"""
CHANGES = """
services:
  api: { user: !reset null, environment: { B: "3" }, mem_limit: 10m }
  debug: { image: "shop/debug:1", networks: [back] }
networks: { back: }
"""


def _described(folder: Path, *files: tuple[str, str]) -> list[str]:
    for name, text in (("compose.yaml", COMPOSE), *files):
        (folder / name).write_text(text)
    paths = tuple(folder / name for name in ("compose.yaml", *dict(files)))
    return describe_overrides(contract(root=folder), Engine(paths))


def test_contract_file_without_overrides_needs_no_description(tmp_path):
    assert _described(tmp_path) == []


def test_each_file_is_described_by_what_it_changes(tmp_path):
    files = (("ca.yaml", CA), ("mine.yaml", CHANGES), ("empty.yaml", "{}\n"))
    first, second = _described(tmp_path, *files)
    assert first == "ca.yaml adds: api.environment.SSL_CERT_FILE; changes: api.volumes"
    assert second.startswith("mine.yaml adds: api.mem_limit, debug, networks.back; ")
    assert second.endswith("; changes: api.environment.B; removes: api.user")


def test_files_in_place_of_the_contract_file_are_compared_with_it(tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    other = tmp_path / "other.yaml"
    other.write_text(COMPOSE.replace("worker:", "runner:"))
    assert describe_overrides(contract(root=tmp_path), Engine((other,))) == [
        "other.yaml in place of compose.yaml: adds: runner; removes: worker"
    ]


def test_values_are_not_shown(tmp_path):
    secret = "services: { api: { environment: { API_TOKEN: hunter2-hunter2 } } }\n"
    (line,) = _described(tmp_path, ("mine.yaml", secret))
    assert line == "mine.yaml adds: api.environment.API_TOKEN"
