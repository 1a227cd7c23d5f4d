"""Tests of starts that the engine or a program refuses: the exit status, and that the hint cures.

Each stack is one container of the base image. The images are not built: they are there.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imageproof import console
from imageproof.build.failure import explaining_failure
from imageproof.build.progress import BuildLog, show_progress
from imageproof.contract import Contract
from imageproof.docker.client import Engine
from imageproof.errors import (
    BuildFailed,
    ConfigurationError,
    ImageproofError,
    NameTaken,
    StackFailed,
    UsageError,
)
from imageproof.stack import compose
from tests.support.sample_facts import contract as sample_contract

PYTHON = ["python3.11", "-c"]
SLEEP = "import time; time.sleep(60)"
REFUSE = "print('SHOP_SIZE must be a number'); raise SystemExit(2)"
Start = Callable[..., ImageproofError | None]


@pytest.fixture
def start(tmp_path: Path, base_image: str) -> Iterator[Start]:
    """Return a function that starts a service with these keys, and returns the error."""
    name = f"imageproof-e2e-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "compose.yaml"
    project: Contract = sample_contract(root=tmp_path)

    def start(**keys: Any) -> ImageproofError | None:
        service = {"image": base_image, "stop_signal": "SIGKILL", "entrypoint": [*PYTHON, SLEEP]}
        file.write_text(json.dumps({"name": name, "services": {"shop": service | keys}}))
        try:
            compose.up(project, Engine((file,)), quiet=True)
        except ImageproofError as error:
            return error
        return None

    yield start
    subprocess.run(["docker", "compose", "-p", name, "down", "-v"], capture_output=True)


@pytest.mark.parametrize(
    "keys",
    [
        {"mem_limit": "5k"},
        {"user": "nosuchuser"},
        {"ports": ["203.0.113.9:18000:8000"]},
        {"cap_add": ["NOSUCH"]},
        {"tmpfs": ["/tmp:size=x"]},
        {"depends_on": ["nosuch"]},
    ],
    ids=str,
)
def test_refused_value_is_a_wrong_configuration(start, keys):
    error = start(**keys)
    assert type(error) is ConfigurationError
    assert error.status == 2
    assert error.hint
    assert start() is None  # the value corrected, as the hint says


# The service is starting until its program ends: without a health check it could count as ready.
UNHEALTHY = {"test": ["CMD", "false"], "interval": "60s"}


@pytest.mark.parametrize("restart", ["no", "always"])
def test_program_that_refuses_its_configuration_ends_up_with_status_2(start, restart):
    error = start(entrypoint=[*PYTHON, REFUSE], restart=restart, healthcheck=UNHEALTHY)
    assert type(error) is ConfigurationError, error
    assert any("SHOP_SIZE must be a number" in line for line in error.tail)


def test_program_that_is_missing_or_fails_is_a_failed_start(start):
    for command in (["/nosuch"], [*PYTHON, "raise SystemExit(1)"]):
        error = start(entrypoint=command, healthcheck=UNHEALTHY)
        assert type(error) is StackFailed
        assert error.hint


def test_taken_name_is_named_and_the_hint_frees_it(start, base_image):
    name = f"imageproof-e2e-{uuid.uuid4().hex[:8]}"
    create = ["docker", "create", "--name", name, base_image, "true"]
    subprocess.run(create, check=True, capture_output=True)
    try:
        error = start(container_name=name)
        assert type(error) is NameTaken
        assert error.status == 3
        advised = re.findall(r"`(docker [^`]+)`", error.hint or "")
        subprocess.run(shlex.split(advised[0]), check=True, capture_output=True)
        assert start(container_name=name) is None
    finally:
        subprocess.run(["docker", "rm", "-f", f"{name}-old", name], capture_output=True)


def test_wrong_builder_and_platform_are_a_wrong_command_line(tmp_path, base_image):

    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    definition = {"target": {"default": {"context": str(tmp_path)}}}
    (tmp_path / "bake.json").write_text(json.dumps(definition))
    command = ["buildx", "bake", "--progress", "rawjson", "-f", "bake.json"]
    for options, advice in [
        (["--builder", "nosuch"], "docker buildx ls"),
        (["--set", "default.platform=foo"], "docker buildx ls"),
        (["--set", "default.platform=windows/amd64"], "docker buildx ls"),
        (["--set", "default.cache-from=type=registry"], "--cache-from"),
    ]:
        log = BuildLog()
        lines = Engine(()).stream(
            "building", *command, *options, folder=tmp_path, environment={}, failure=BuildFailed
        )
        with pytest.raises(UsageError) as caught, explaining_failure("building", log):
            show_progress(lines, log, console.messages())
        assert caught.value.status == 2
        assert advice in (caught.value.hint or "")
