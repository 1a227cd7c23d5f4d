"""Tests of environment variables, as Compose resolves them."""

from __future__ import annotations

import os
import socket

import pytest

from imageproof.docker.environment import compose_variable, compose_variables
from imageproof.errors import ConfigurationError


def test_variable_of_the_process_overrides_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("A=file\nB=file\nC=\n")
    monkeypatch.setenv("A", "process")
    for name in "BC":
        monkeypatch.delenv(name, raising=False)
    assert [compose_variable(tmp_path, name) for name in "ABCD"] == ["process", "file", None, None]
    variables = compose_variables(tmp_path)
    assert [variables.get(name) for name in "ABCD"] == ["process", "file", "", None]


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a pipe"])
def test_env_file_that_is_not_a_regular_file_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    monkeypatch.delenv("COMPOSE_ENV_FILES", raising=False)
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(".env")
    else:
        os.mkfifo(".env" if kind == "pipe" else "pipe")
    if kind == "link to a pipe":
        (tmp_path / ".env").symlink_to("pipe")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        compose_variables(tmp_path)


def test_absent_env_file_and_empty_device_have_no_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOSE_ENV_FILES", os.devnull)
    assert compose_variables(tmp_path) == dict(os.environ)
    monkeypatch.delenv("COMPOSE_ENV_FILES")
    assert compose_variables(tmp_path) == dict(os.environ)
