"""Tests of environment variables, as Compose resolves them."""

from __future__ import annotations

from imageproof.docker.environment import compose_variable, compose_variables


def test_variable_of_the_process_overrides_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A=file\nB=file\nC=\n")
    monkeypatch.setenv("A", "process")
    for name in "BC":
        monkeypatch.delenv(name, raising=False)
    assert [compose_variable(tmp_path, name) for name in "ABCD"] == ["process", "file", None, None]
    variables = compose_variables(tmp_path)
    assert [variables.get(name) for name in "ABCD"] == ["process", "file", "", None]
