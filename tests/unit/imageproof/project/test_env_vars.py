"""imageproof.project.env_vars: the three places that name an environment variable."""

from __future__ import annotations

import sys

import pytest

from imageproof.contract import load
from imageproof.docker.client import Engine
from imageproof.errors import ContractError
from imageproof.project.env_vars import (
    ExampleEntry,
    Variable,
    read_compose,
    read_example,
    read_settings,
    read_variables,
)
from tests.support.sample_facts import ROOT, contract, service_contract

# --- .env.example


def _example(folder, text):
    (folder / ".env.example").write_text(text)
    return read_example(folder / ".env.example")


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
def test_a_comment_right_above_or_behind_explains_an_entry(tmp_path, text, documented):
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
def test_the_value_is_what_stands_before_the_comment(tmp_path, line, value):
    found = _example(tmp_path, line + "\n")
    assert found == {"A": ExampleEntry("A", value, documented=" #" in line)}


def test_entries_that_are_commented_out_and_other_lines_are_no_entries(tmp_path):
    assert list(_example(tmp_path, "# B=1\nsomething\n\nA=1\n")) == ["A"]


def test_a_missing_file_is_none_and_an_empty_one_is_not(tmp_path):
    assert read_example(tmp_path / "no") is None
    assert _example(tmp_path, "") == {}


# --- the compose file


@pytest.mark.parametrize(
    ("written", "default"),
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
def test_the_default_that_the_compose_file_passes_on(written, default):
    assert read_compose({"environment": {"X": written}}) == {"X": Variable("X", default)}


@pytest.mark.parametrize("service", [{}, {"environment": None}, {"environment": {}}])
def test_a_service_without_environment_is_passed_nothing(service):
    assert read_compose(service) == {}


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
def module(tmp_path, monkeypatch):
    """A module with settings classes, below a root of its own."""
    name = f"ops_test_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda made: read_settings(tmp_path, f"{name}:{made}")
    sys.modules.pop(name, None)


def test_each_field_is_a_variable_with_its_default_as_it_would_be_written(module):
    assert {name: v.default for name, v in module("Settings").items()} == {
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


def test_secrets_are_known_by_their_types_not_their_names(module):
    secret = {name for name, variable in module("Settings").items() if variable.secret}
    assert secret == {"TOKEN", "KEY", "RAW", "NUMBER", "SET_TOKEN"}


def test_a_prefix_belongs_to_the_name(module):
    assert list(module("Prefixed")) == ["SHOP_TEXT"]


def test_a_float_keeps_all_its_digits(module):
    found = module("Floats")
    assert found["LONG"].default == "2592000"
    assert found["EXACT"].default == "0.1234567"


def test_a_class_that_is_not_there_is_a_wrong_contract(module):
    with pytest.raises(ContractError, match="Nothing") as caught:
        module("Nothing")
    assert caught.value.status == 2


def test_a_module_that_is_not_there_is_a_wrong_contract(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ContractError, match="no_such_module"):
        read_settings(tmp_path, "no_such_module_of_ops:Settings")


# --- together


def test_a_class_is_read_for_an_image_and_the_compose_file_for_every_service(
    tmp_path, module, monkeypatch
):
    place = next(tmp_path.glob("ops_test_*.py")).stem
    reading = service_contract(environment={"settings": f"{place}:Prefixed"}, service="web")
    project = contract(
        root=tmp_path, images={"shop": reading, "plain": service_contract(service="db")}
    )
    model = {
        "services": {
            "web": {"environment": {"SHOP_TEXT": "${SHOP_TEXT:-t}"}, "ports": ["${PORT-1}:80"]},
            "db": {"environment": {"X": "1"}},
        }
    }
    monkeypatch.setattr(Engine, "compose_model", lambda _, *, interpolate: model)
    found = read_variables(project, Engine(()))
    assert found.settings == {"shop": {"SHOP_TEXT": Variable("SHOP_TEXT", "t")}}
    assert found.compose == {
        "web": {"SHOP_TEXT": Variable("SHOP_TEXT", "t")},
        "db": {"X": Variable("X", "1")},
    }
    assert found.interpolated == {"SHOP_TEXT", "PORT"}
    assert found.example is None


def test_the_projects_own_settings_and_example_agree():
    """The compose file is compared by `./inv lint`, which has Compose read it."""
    project = load(ROOT)
    entries = read_example(ROOT / project.env_example) or {}
    read = {}
    for image in project.images.values():
        if image.environment:
            read |= read_settings(ROOT, image.environment.settings)
    assert read.keys() <= entries.keys()
    assert {n: v.default for n, v in read.items()} == {n: entries[n].value for n in read}
    assert {"API_TOKEN", "LLM_API_KEY"} <= {n for n, v in read.items() if v.secret}
    assert all(entry.documented for entry in entries.values())
