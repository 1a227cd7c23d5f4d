"""Environment variables of settings classes, .env.example and the compose file."""

from __future__ import annotations

import pytest

from imageproof.docker.client import Engine
from imageproof.project.env_vars import (
    ExampleEntry,
    read_env_example,
    read_service_environment,
    read_variables,
)
from imageproof.project.settings_class import Variable
from tests.support.sample_facts import contract, service_contract

# --- .env.example


def _example(folder, text):
    (folder / ".env.example").write_text(text)
    return read_env_example(folder / ".env.example")


@pytest.mark.parametrize(
    ("text", "documented"),
    [
        ("# why\nA=1\n", True),
        ("# why\n# more\nA=1\n", True),
        ("A=1 # why\n", True),
        ("  # why\n  A=1\n", True),
        ("A=1\n", False),
        ("# why\n\nA=1\n", False),
        ("# of another\nB=2\nA=1\n", False),
        ("A=1\n# below\n", False),
        ("A=1#no comment\n", False),
    ],
)
def test_comment_above_or_on_the_line_documents_an_entry(tmp_path, text, documented):
    assert _example(tmp_path, text)["A"].documented is documented


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("A=", ""),
        ("A= # empty", ""),
        ("A=x=y", "x=y"),
        ("A=1 # why", "1"),
        ("A=a#b", "a#b"),
        ("A=a b", "a b"),
    ],
)
def test_value_ends_before_the_comment(tmp_path, line, value):
    assert _example(tmp_path, line + "\n") == {
        "A": ExampleEntry("A", value, documented=" #" in line)
    }


def test_commented_entries_and_other_lines_are_skipped(tmp_path):
    assert list(_example(tmp_path, "# B=1\nsomething\n\nA=1\n")) == ["A"]


def test_missing_file_is_none_and_empty_file_is_empty(tmp_path):
    assert read_env_example(tmp_path / "no") is None
    assert _example(tmp_path, "") == {}


# --- the compose file


@pytest.mark.parametrize(
    ("value", "default"),
    [
        ("${A:-d}", "d"),
        ("${A-d}", "d"),
        ("${A}", ""),
        ("${A:-}", ""),
        ("${A-}", ""),
        ("${A:-a-b:c}", "a-b:c"),
        ("plain", "plain"),
        ("x${A:-d}", "x${A:-d}"),
        ("", ""),
        (None, ""),
        (5, "5"),
        (0, "0"),
        (0.75, "0.75"),
    ],
)
def test_compose_default_is_read(value, default):
    assert read_service_environment({"environment": {"X": value}}) == {"X": Variable("X", default)}


@pytest.mark.parametrize("service", [{}, {"environment": None}, {"environment": {}}])
def test_service_without_environment_has_no_variables(service):
    assert read_service_environment(service) == {}


# --- all sources


SETTINGS = """
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    text: str = "t"
"""


def test_settings_are_read_by_image_and_compose_by_service(tmp_path, monkeypatch):
    (tmp_path / "config.py").write_text(SETTINGS)
    with_settings = service_contract(environment={"settings": "config:Settings"}, service="web")
    project = contract(
        root=tmp_path, images={"shop": with_settings, "plain": service_contract(service="db")}
    )
    model = {
        "services": {
            "web": {"environment": {"SHOP_TEXT": "${SHOP_TEXT:-t}"}, "ports": ["${PORT-1}:80"]},
            "db": {"environment": {"X": "1"}},
        }
    }
    monkeypatch.setattr(Engine, "compose_model", lambda _, *, interpolate: model)
    variables = read_variables(project, Engine(()))
    assert variables.settings == {"shop": {"SHOP_TEXT": Variable("SHOP_TEXT", "t")}}
    assert variables.compose == {
        "web": {"SHOP_TEXT": Variable("SHOP_TEXT", "t")},
        "db": {"X": Variable("X", "1")},
    }
    assert variables.interpolated == {"SHOP_TEXT", "PORT"}
    assert variables.example is None
