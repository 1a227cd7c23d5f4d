"""imageproof.docker.client: without a client, with one that fails half-way, and with variables of its own.

What a real engine answers is in tests/e2e/.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from imageproof.docker.client import Engine, environment, service_of
from imageproof.errors import EngineUnavailable, NoSpace, StackFailed


def test_without_a_client_the_engine_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineUnavailable, match="no docker client") as caught:
        Engine(()).require()
    assert caught.value.status == 3


@pytest.fixture
def client(tmp_path, monkeypatch) -> Callable[[str], None]:
    """A docker client of a few lines of shell, for what a real engine does not do when asked."""

    def client(lines: str) -> None:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return client


def test_a_save_that_breaks_off_says_why_after_the_last_chunk(client):
    client("printf beginning; echo 'write /tmp/x: no space left on device' >&2; exit 1")
    stream = Engine(()).save(["shop:1"])
    assert next(stream) == b"beginning"
    with pytest.raises(NoSpace) as caught:
        next(stream)
    assert caught.value.action == "saving shop:1"


def test_a_save_that_nobody_reads_on_ends_its_client(client, tmp_path):
    client(f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 600")
    stream = Engine(()).save(["shop:1"])
    assert next(stream) == b"begun\n"
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_name_that_looks_like_an_option_is_a_name(client):
    client('test "$1 $2 $3 $4" = "image save -- --output=x" && echo "$*"')
    assert b"".join(Engine(()).save(["--output=x"])) == b"image save -- --output=x\n"


@pytest.mark.parametrize("fails", [False, True])
def test_variables_are_put_back_also_after_an_exception(monkeypatch, fails):
    monkeypatch.setenv("OPS_TEST_KEPT", "before")
    monkeypatch.delenv("OPS_TEST_NEW", raising=False)
    seen = {}

    def use() -> None:
        with environment({"OPS_TEST_KEPT": "within", "OPS_TEST_NEW": "within"}):
            seen.update({n: os.environ[n] for n in ("OPS_TEST_KEPT", "OPS_TEST_NEW")})
            if fails:
                raise StackFailed("up", "no")

    if fails:
        with pytest.raises(StackFailed):
            use()
    else:
        use()
    assert set(seen.values()) == {"within"}
    assert os.environ["OPS_TEST_KEPT"] == "before"
    assert "OPS_TEST_NEW" not in os.environ


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
def test_a_container_is_of_a_service_of_compose_or_of_a_swarm(labels, service):
    assert service_of({"Config": {"Labels": labels}}) == service


def test_the_tasks_of_a_stack_that_ended_are_not_its_containers(client, tmp_path):
    client(f'echo "$*" >> {tmp_path}/asked')
    assert Engine((), swarm_stack="till").containers() == []
    asked = (tmp_path / "asked").read_text()
    assert "--filter=label=com.docker.stack.namespace=till" in asked
    assert "--all" not in asked
    assert Engine((), "till").containers() == []
    assert "--all" in (tmp_path / "asked").read_text()


def test_what_is_given_goes_to_standard_input(client):
    client("cat")
    assert Engine(()).query("giving", "secret", stdin="word") == "word"


def test_a_task_that_swarm_forgot_meanwhile_is_left_out(client):
    client("echo '[{\"ID\": \"t1\"}]'; echo 'Error: No such task: t0' >&2; exit 1")
    assert Engine(()).tasks(["t0", "t1"]) == [{"ID": "t1"}]
    client("echo '[]'; echo 'Error response from daemon: task t0 not found' >&2; exit 1")
    assert Engine(()).tasks(["t0"]) == []
    client("echo 'Error: the swarm does not have a leader' >&2; exit 1")
    with pytest.raises(EngineUnavailable):
        Engine(()).tasks(["t0"])


def test_another_context_is_asked_with_each_question(client):
    client('echo "$*"')
    engine = Engine((), context="second")
    assert b"".join(engine.save(["shop:1"])) == b"--context second image save -- shop:1\n"
    assert engine.plugin("buildx") == "--context second buildx version"
    assert engine.docker.docker_cmd[1:] == ["--context", "second"]


@pytest.mark.parametrize(("status", "known"), [(0, True), (1, False)])
def test_a_context_is_one_that_the_client_knows(client, status, known):
    client(f'test "$*" = "context inspect -- second" && exit {status}')
    assert Engine(()).has_context("second") is known
