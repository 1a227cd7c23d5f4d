"""Tests of the engine client with a scripted docker program.

The answers of a real engine are tested in tests/e2e/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from imageproof.docker.client import Engine, service_of
from imageproof.errors import BuildFailed, EngineUnavailable, NoSpace, StackFailed
from tests.support.sample_facts import ROOT


def test_missing_client_is_an_unavailable_engine(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineUnavailable, match="no docker client") as caught:
        Engine(()).require_answer()
    assert caught.value.status == 3


@pytest.fixture
def install_docker(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Install a docker program written in shell, for failures that a real engine does not have."""

    def install(lines: str) -> None:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return install


def test_failed_save_raises_after_the_last_chunk(install_docker):
    install_docker("printf beginning; echo 'write /tmp/x: no space left on device' >&2; exit 1")
    stream = Engine(()).save(["shop:1"])
    assert next(stream) == b"beginning"
    with pytest.raises(NoSpace) as caught:
        next(stream)
    assert caught.value.action == "saving shop:1"


def test_closing_a_save_stream_ends_the_client(install_docker, tmp_path):
    install_docker(f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 600")
    stream = Engine(()).save(["shop:1"])
    assert next(stream) == b"begun\n"
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_stream_yields_output_and_errors_then_raises(install_docker, tmp_path):
    install_docker('echo "$1 $COLOUR"; pwd >&2; exit 3')
    stream = Engine(()).stream(
        "building shop",
        "buildx",
        folder=tmp_path,
        environment={"COLOUR": "red"},
        failure=BuildFailed,
    )
    assert [next(stream), next(stream)] == ["buildx red\n", f"{tmp_path}\n"]
    with pytest.raises(BuildFailed, match="status 3") as caught:
        next(stream)
    assert caught.value.action == "building shop"


def test_closing_a_stream_ends_the_client(install_docker, tmp_path):
    install_docker(f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 600")
    stream = Engine(()).stream("building", folder=tmp_path, environment={})
    assert next(stream) == "begun\n"
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_reference_that_looks_like_an_option_is_a_reference(install_docker):
    install_docker('test "$1 $2 $3 $4" = "image save -- --output=x" && echo "$*"')
    assert b"".join(Engine(()).save(["--output=x"])) == b"image save -- --output=x\n"


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"com.docker.compose.service": "shop"}, "shop"),
        (
            {
                "com.docker.swarm.service.name": "till_shop_api",
                "com.docker.stack.namespace": "till",
            },
            "shop_api",
        ),
        ({"com.docker.swarm.service.name": "shop"}, "shop"),
        ({}, None),
        (None, None),
    ],
)
def test_container_belongs_to_a_compose_or_swarm_service(labels, service):
    assert service_of({"Config": {"Labels": labels}}) == service


def test_ended_swarm_tasks_are_not_listed_but_stopped_compose_containers_are(
    install_docker, tmp_path
):
    install_docker(f'echo "$*" >> {tmp_path}/commands')
    assert Engine((), swarm_stack="till").containers() == []
    commands = (tmp_path / "commands").read_text()
    assert "--filter=label=com.docker.stack.namespace=till" in commands
    assert "--all" not in commands
    assert Engine((), "till").containers() == []
    assert "--all" in (tmp_path / "commands").read_text()


def test_query_passes_standard_input(install_docker):
    install_docker("cat")
    assert Engine(()).query("creating", "secret", stdin="word") == "word"


def test_every_command_uses_the_context(install_docker):
    install_docker('echo "$*"')
    engine = Engine((), context="second")
    assert b"".join(engine.save(["shop:1"])) == b"--context second image save -- shop:1\n"
    assert engine.plugin_version("buildx") == "--context second buildx version"
    assert engine.whales.docker_cmd[1:] == ["--context", "second"]


@pytest.mark.parametrize(("status", "exists"), [(0, True), (1, False)])
def test_context_exists_if_the_client_can_inspect_it(install_docker, status, exists):
    install_docker(f'test "$*" = "context inspect -- second" && exit {status}')
    assert Engine(()).has_context("second") is exists


def test_compose_command_gets_its_variables_but_other_threads_do_not_see_them(install_docker):
    install_docker('echo "$* $COLOUR"; sleep 0.2; exit $CODE')
    project = Engine((Path("/x/compose.yaml"),), "shop", {"COLOUR": "red", "CODE": "0"})
    other = replace(project, variables={"COLOUR": "blue", "CODE": "0"})
    before = dict(os.environ)
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda engine: engine.compose("starting", "up"), (project, other)))
        assert dict(os.environ) == before
    options = "compose --file /x/compose.yaml --project-name shop up"
    assert outputs == [f"{options} red\n", f"{options} blue\n"]
    assert list(project.stream_compose("reading", "logs")) == [f"{options[:-2]}logs red\n"]
    with pytest.raises(StackFailed):
        list(replace(project, variables={"CODE": "1"}).stream_compose("reading", "logs"))


def test_no_module_changes_the_environment_of_the_process():
    for path in (ROOT / "imageproof").rglob("*.py"):
        changes = r"os\.environ(\[[^]]*\] *=|\.(pop|update|setdefault|clear)\b)|putenv"
        assert not re.search(changes, path.read_text()), path
