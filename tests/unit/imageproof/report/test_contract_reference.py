"""The reference of the contract's keys: docs/contract.md."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

from imageproof import console
from imageproof.checks import REGISTRY
from imageproof.cli.collection import make_collection
from imageproof.contract import Contract, Model, ServiceContract
from imageproof.report.check_reference import show
from imageproof.report.contract_reference import (
    COMMAND,
    FILE,
    IMAGE_USES,
    PROJECT_USES,
    Key,
    keys,
    markdown,
)
from tests.support.sample_facts import ROOT


def test_committed_page_is_generated_from_the_models():
    assert (ROOT / FILE).read_text() == markdown(), f"run `{COMMAND}`"


def test_explain_prints_the_page(capsys, monkeypatch):
    monkeypatch.setattr(console, "results", lambda: SimpleNamespace(file=sys.stdout))
    show("contract")
    assert capsys.readouterr().out == markdown()


def test_every_key_names_its_users_once():
    assert [key.name for key in keys(Contract)] == list(PROJECT_USES)
    assert [key.name for key in keys(ServiceContract)] == list(IMAGE_USES)


def test_users_are_checks_groups_of_checks_or_commands():
    groups = {f"{id_.partition('.')[0]}.*" for id_ in REGISTRY}
    users = {
        user for uses in (PROJECT_USES, IMAGE_USES) for used_by in uses.values() for user in used_by
    }
    assert users <= REGISTRY.keys() | groups | set(make_collection().task_names)


def _models(model: type[Model]) -> set[type[Model]]:
    models = {model}
    for field in model.model_fields.values():
        for name in re.findall(r"models\.(\w+)", repr(field.annotation)):
            models |= _models(getattr(sys.modules[Model.__module__], name))
    return models


def test_every_field_has_a_description():
    missing = [
        f"{model.__name__}.{name}"
        for model in _models(Contract)
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert missing == ["Contract.root"]  # set by `load`, no key of the file


def test_defaults_are_written_as_toml():
    defaults = {key.name: key.default for key in keys(ServiceContract)}
    assert defaults["growth"] == "`500000`"
    assert defaults["stop_timeout"] == "`10`"
    assert defaults["stop_signal"] == '`"SIGTERM"`'
    assert defaults["ports"] == "`[]`"
    assert defaults["lock"] == ""
    assert defaults["size"] == "required"


def test_nested_tables_are_dotted_keys():
    project, image = ({key.name: key for key in keys(m)} for m in (Contract, ServiceContract))
    assert isinstance(project["tools.NAME.package"], Key)
    assert project["base.packages"].type == "list of strings"
    assert image["health.port"].type == "integer"
    assert image["smoke[].within"].type == "number"
    assert image["bytecode"].type == '`"all"`, `"none"`, `"any"`'
