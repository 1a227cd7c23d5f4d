"""Tests of environment variables, as Compose resolves them and set for a while."""

from __future__ import annotations

import os

import pytest

from imageproof.docker.environment import (
    compose_variable,
    compose_variables,
    temporary_environment,
)


@pytest.mark.parametrize("fails", [False, True])
def test_temporary_environment_is_restored_even_after_an_exception(monkeypatch, fails):
    monkeypatch.setenv("TEST_SET", "before")
    monkeypatch.delenv("TEST_UNSET", raising=False)
    inside = {}

    def use() -> None:
        with temporary_environment({"TEST_SET": None, "TEST_UNSET": "inside"}):
            inside.update(os.environ)
            if fails:
                raise KeyError

    if fails:
        with pytest.raises(KeyError):
            use()
    else:
        use()
    assert "TEST_SET" not in inside
    assert inside["TEST_UNSET"] == "inside"
    assert os.environ["TEST_SET"] == "before"
    assert "TEST_UNSET" not in os.environ


def test_variable_of_the_process_overrides_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A=file\nB=file\nC=\n")
    monkeypatch.setenv("A", "process")
    for name in "BC":
        monkeypatch.delenv(name, raising=False)
    assert [compose_variable(tmp_path, name) for name in "ABCD"] == ["process", "file", None, None]
    variables = compose_variables(tmp_path)
    assert [variables.get(name) for name in "ABCD"] == ["process", "file", "", None]
