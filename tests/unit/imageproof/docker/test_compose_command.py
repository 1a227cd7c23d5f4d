"""Tests of `docker compose config` beyond a bound, by a docker program written in shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.docker import compose_command
from imageproof.docker.client import Engine
from imageproof.docker.compose_command import variables_with_value
from imageproof.errors import ConfigurationError

BOMB = """name: shop
x-a: &a [x, x]
x-b: &b [*a, *a, *a]
x-c: &c {k: *b}
services: {web: {image: "*no alias"}}
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that reads BOMB by a docker program that runs some shell commands."""

    def read(commands: str) -> dict:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(0o755)
        (tmp_path / "compose.yaml").write_text(BOMB)
        engine = Engine((tmp_path / "compose.yaml",), program=str(program))
        return engine.compose_model(interpolate=True)

    return read


def test_model_is_the_output_of_compose(read):
    assert read('echo warning >&2; echo \'{"name": "shop"}\'') == {"name": "shop"}


@pytest.mark.parametrize(
    ("commands", "cause"),
    [
        ("sleep 60", "Compose did not end within 0.2 s"),
        ("echo 'fatal error: runtime: cannot allocate memory' >&2; exit 2", "more than 512 MiB"),
        ("echo 'runtime: out of memory: cannot allocate' >&2; exit 2", "more than 512 MiB"),
    ],
)
def test_error_beyond_a_bound_names_the_lines_with_most_aliases(
    read, monkeypatch, tmp_path: Path, commands, cause
):
    if "sleep" in commands:
        monkeypatch.setattr(compose_command, "MAX_SECONDS", 0.2)
    with pytest.raises(ConfigurationError, match=cause) as caught:
        read(commands)
    file = tmp_path / "compose.yaml"
    assert str(file) in caught.value.action
    assert caught.value.tail == (
        f"{file}:3: 3 aliases: x-b: &b [*a, *a, *a]",
        f"{file}:4: 1 aliases: x-c: &c {{k: *b}}",
    )
    assert "write out" in (caught.value.hint or "")


def test_model_nested_too_deep_is_a_configuration_error(read):
    with pytest.raises(ConfigurationError, match="nested more than 100 deep"):
        read("""printf '{"x-a": '; for i in $(seq 2000); do printf '['; done""")


@pytest.mark.parametrize(
    ("environment", "dotenv", "text", "names"),
    [
        ({}, "API_PORT=abc\n", "Invalid hostPort: abc", ["API_PORT"]),
        ({"API_PORT": "99999"}, "", "invalid port '99999', use 1-65535", ["API_PORT"]),
        ({}, "", "port 8000 is already in use by another program", ["API_PORT"]),
        ({"API_PORT": "8123"}, "", "port 8000 is already in use", []),
        ({}, "BIND=1.2.3.4\n", "cannot assign 1.2.3.4:8000", ["BIND", "API_PORT"]),
        ({}, "", "services.api must be a mapping", []),
    ],
)
def test_error_names_the_variable_whose_value_it_shows(
    tmp_path, monkeypatch, environment, dotenv, text, names
):
    for name in ("API_PORT", "BIND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text(dotenv)
    file = tmp_path / "compose.yaml"
    file.write_text('ports: ["${BIND}:${API_PORT:-8000}:80"]\n')
    assert variables_with_value((file, tmp_path / "missing.yaml"), text) == names
