"""Environment variables of settings classes, .env.example and the compose file."""

from __future__ import annotations

import sys

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import ContractError
from imageproof.project.env_vars import (
    ExampleEntry,
    Variable,
    read_env_example,
    read_service_environment,
    read_settings,
    read_variables,
)
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


# --- the settings classes

MODULE = """
from enum import Enum
from pydantic import Field, Secret, SecretBytes, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

class Colour(Enum):
    RED = "red"

class Kind(str, Enum):
    BIG = "big"

class Settings(BaseSettings):
    text: str = "t"
    needed: str
    nothing: str | None = None
    whole: int = 5
    five: float = 5
    half: float = 0.5
    hundred: float = 100.0
    colour: Colour = Colour.RED
    kind: Kind = Kind.BIG
    other: str = Field("x", validation_alias="another_name")
    many: list[str] = Field(default_factory=list)
    token: SecretStr = SecretStr("")
    key: SecretStr | None = None
    raw: SecretBytes | None = None
    number: Secret[int] | None = None
    set_token: SecretStr = SecretStr("made-up")
    secretary: str = "s"

class Prefixed(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    text: str = "t"

class Floats(BaseSettings):
    long: float = 2592000.0
    exact: float = 0.1234567
"""


@pytest.fixture
def read_class(tmp_path, monkeypatch):
    """Reader of a settings class from MODULE, which is in its own root folder."""
    name = f"settings_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda class_: read_settings(tmp_path, f"{name}:{class_}")
    sys.modules.pop(name, None)


def test_each_field_is_a_variable_with_its_default_as_text(read_class):
    assert {name: v.default for name, v in read_class("Settings").items()} == {
        "TEXT": "t",
        "NEEDED": "",
        "NOTHING": "",
        "WHOLE": "5",
        "FIVE": "5",
        "HALF": "0.5",
        "HUNDRED": "100",
        "COLOUR": "red",
        "KIND": "big",
        "ANOTHER_NAME": "x",
        "MANY": "",
        "TOKEN": "",
        "KEY": "",
        "RAW": "",
        "NUMBER": "",
        "SET_TOKEN": "made-up",
        "SECRETARY": "s",
    }


def test_secrets_are_recognized_by_type(read_class):
    secret = {name for name, variable in read_class("Settings").items() if variable.secret}
    assert secret == {"TOKEN", "KEY", "RAW", "NUMBER", "SET_TOKEN"}


def test_env_prefix_is_part_of_the_name(read_class):
    assert list(read_class("Prefixed")) == ["SHOP_TEXT"]


def test_float_default_keeps_all_digits(read_class):
    variables = read_class("Floats")
    assert variables["LONG"].default == "2592000"
    assert variables["EXACT"].default == "0.1234567"


def test_missing_class_is_a_contract_error(read_class):
    with pytest.raises(ContractError, match="Nothing") as caught:
        read_class("Nothing")
    assert caught.value.status == 2


def test_missing_module_is_a_contract_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ContractError, match="no_such_module"):
        read_settings(tmp_path, "no_such_module_of_a_test:Settings")


# --- all sources


def test_settings_are_read_by_image_and_compose_by_service(tmp_path, read_class, monkeypatch):
    name = next(tmp_path.glob("settings_*.py")).stem
    with_settings = service_contract(environment={"settings": f"{name}:Prefixed"}, service="web")
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
