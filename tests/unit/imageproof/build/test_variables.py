"""Tests of the build's variables: base image, commit, and this machine's configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.build import variables
from imageproof.build.base_image import BaseImage
from imageproof.build.variables import build_variables
from tests.support.sample_facts import contract

BASE = BaseImage("base.invalid/python:3", "sha256:" + "b" * 64, "named")
STANDARD_VARIABLES = {
    "BUILD_CA": "SSL_CERT_FILE",
    "BUILD_PIP": "PIP_CONFIG_FILE",
    "BUILD_NPM": "NPM_CONFIG_USERCONFIG",
}
STANDARD_FILES = {
    "BUILD_CA": "etc-ca.crt",
    "BUILD_PIP": "home/.config/pip/pip.conf",
    "BUILD_NPM": "home/.npmrc",
}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with an empty home folder and none of the variables."""
    for name, standard in STANDARD_VARIABLES.items():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(standard, raising=False)
    monkeypatch.setattr(variables, "CA_BUNDLES", (str(tmp_path / "etc-ca.crt"),))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda p: tmp_path in p.parents and is_file(p))
    return tmp_path


def _file(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return str(path)


def test_missing_files_are_replaced_by_an_empty_one(machine):
    result = build_variables(contract(root=machine), BASE)
    assert {result[name] for name in STANDARD_VARIABLES} == {"/dev/null"}


@pytest.mark.parametrize(("name", "standard_variable"), STANDARD_VARIABLES.items())
def test_existing_file_of_the_standard_variable_wins(machine, monkeypatch, name, standard_variable):
    standard_file = _file(machine / STANDARD_FILES[name])
    assert build_variables(contract(root=machine), BASE)[name] == standard_file
    configured = _file(machine / "configured")
    monkeypatch.setenv(standard_variable, configured)
    assert build_variables(contract(root=machine), BASE)[name] == configured
    monkeypatch.setenv(standard_variable, str(machine / "missing"))
    assert build_variables(contract(root=machine), BASE)[name] == standard_file


@pytest.mark.parametrize("name", STANDARD_VARIABLES)
def test_variable_that_the_user_set_is_kept(machine, monkeypatch, name):
    monkeypatch.setenv(name, "/mine")
    result = build_variables(contract(root=machine), BASE)
    assert name not in result
    assert len(STANDARD_VARIABLES.keys() & result.keys()) == 2


def test_base_is_passed_under_the_contracts_name(machine):
    project = contract(root=machine, base={"variable": "MY_BASE"})
    result = build_variables(project, BASE)
    assert (result["MY_BASE"], result["BASE_DIGEST"]) == (BASE.reference, BASE.digest)


def test_revision_is_empty_outside_git_and_without_git(machine, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(machine.parent))
    assert build_variables(contract(root=machine), BASE)["REVISION"] == ""
    monkeypatch.setenv("PATH", str(machine))
    assert build_variables(contract(root=machine), BASE)["REVISION"] == ""
