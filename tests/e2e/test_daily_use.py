"""Tests of the commands beside up and down, on a stack of two services that share a source file."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import pytest

from tests.support.commands import (
    ROOT,
    SMALL_CONTRACT,
    SMALL_DOCKERFILE,
    Project,
    clean_environment,
    docker,
    read_until,
    start_command,
)

SERVICES = ("till", "web")
SERVICE = """
    init: true
    stop_grace_period: 1s
    build:
      context: .
      target: runtime
      args: { PYTHON_BASE: "${PYTHON_BASE:-python:3.11-slim}" }
    volumes: ["/var/cache"] # an anonymous volume
"""
DEVELOPMENT = """
services:
  till: { develop: { watch: [{ action: rebuild, path: shared }] } }
  web: { develop: { watch: [{ action: rebuild, path: shared }, { action: rebuild, path: web }] } }
"""


@dataclass(frozen=True)
class Shop(Project):
    """A project of two services."""

    def start(self) -> None:
        """Build and start the stack with Docker's own commands, and wait until it is healthy."""
        for command in (["build", "--quiet"], ["up", "--detach", "--wait"]):
            result = subprocess.run(
                ["docker", "compose", *command],
                cwd=self.root,
                env=clean_environment(PYTHON_BASE=self.base_image),
                capture_output=True,
                text=True,
            )
            assert result.returncode == 0, result.stderr

    def containers(self) -> list[str]:
        """Return the names of all containers of the project."""
        label = f"label=com.docker.compose.project={self.name}"
        return sorted(docker("ps", "-a", "--filter", label, "--format", "{{.Names}}").split())

    def page(self, service: str) -> str:
        """Return the shared page in a service's container."""
        return docker("exec", f"{self.name}-{service}-1", "cat", "/srv/index.html")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, small_base: str) -> Iterator[Shop]:
    root, name = tmp_path_factory.mktemp("shop"), f"ops-e2e-{uuid.uuid4().hex[:8]}"
    for folder in ("shared", *SERVICES):
        (root / folder).mkdir()
        (root / folder / "index.html").write_text("first\n")
    contract = SMALL_CONTRACT.replace('"400MB"', '"1GB"')
    (root / "pyproject.toml").write_text(
        f'[tool.imageproof]\nwatch = "development.yaml"\n{contract}'
    )
    sections = [f"  {s}:\n    image: {name}/{s}:local{SERVICE}" for s in SERVICES]
    (root / "compose.yaml").write_text(f"name: {name}\nservices:\n{''.join(sections)}")
    (root / "development.yaml").write_text(DEVELOPMENT)
    (root / "Dockerfile").write_text(SMALL_DOCKERFILE.replace("index.html /srv/", "shared /srv/"))
    project = Shop(root, name, small_base)
    try:
        yield project
    finally:
        compose = ["docker", "compose", "--project-name", name]
        subprocess.run([*compose, "down", "--volumes", "--remove-orphans"], capture_output=True)
        images = [f"{name}/{service}:local" for service in SERVICES]
        subprocess.run(["docker", "image", "rm", "-f", *images], capture_output=True)


# --- watch


def test_watch_replaces_the_services_of_a_shared_file_and_survives_a_failed_build(shop: Shop):
    shop.start()
    with start_command(shop, "watch") as process:
        read_until(process, "watching;")
        (shop.root / "shared/index.html").write_text("second\n")
        messages = read_until(process, "watching;")
        assert [shop.page(service) for service in SERVICES] == ["second", "second"], messages
        # None is gone, and Compose left no container of an interrupted replacement.
        assert shop.containers() == [f"{shop.name}-{service}-1" for service in SERVICES]

        shop.edit("Dockerfile", "RUN echo prepared", "RUN echo gave up: 42 && false")
        (shop.root / "shared/index.html").write_text("third\n")
        messages = read_until(process, "watching;")
        assert "gave up: 42" in messages
        assert [shop.page(service) for service in SERVICES] == ["second", "second"]

        shop.edit("Dockerfile", "RUN echo gave up: 42 && false", "RUN echo prepared")
        (shop.root / "web/index.html").write_text("a file of one service\n")
        messages = read_until(process, "watching;")
        assert [shop.page(service) for service in SERVICES] == ["third", "third"], messages
        process.terminate()
        assert process.wait(timeout=30) == 143
    assert len(shop.containers()) == 2


def test_watch_ends_with_a_failure_when_the_stack_is_removed(shop: Shop):
    shop.start()
    with start_command(shop, "watch") as process:
        read_until(process, "watching;")
        assert shop.inv("down").status == 0
        assert "another command removed the containers of till, web" in read_until(process, "→")
        assert process.wait(timeout=30) == 1
    assert shop.containers() == []


def test_interrupted_watch_leaves_both_services(shop: Shop):
    shop.start()
    with start_command(shop, "watch") as process:
        read_until(process, "watching;")
        (shop.root / "shared/index.html").write_text("interrupted\n")
        read_until(process, "healthy after")  # it is replaced, the other one not yet
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert shop.containers() == [f"{shop.name}-{service}-1" for service in SERVICES]


# --- debug, logs, ps


def test_debug_command_runs_in_a_shell_with_this_commands_input_and_output(shop: Shop):
    shop.start()
    command = "cat /etc/os-release | while read -r line; do echo $line; break; done; exit 7"
    outcome = shop.inv("debug", "web", "--command", command)
    assert (outcome.status, outcome.output.count("\n")) == (7, 1)
    assert f"running {command!r} beside" in outcome.messages
    assert "it ended with status 7" in outcome.messages
    with _start_debug(shop, "web", "--command", "cat") as process:
        assert process.communicate(b"\0\xff\n" * 1000)[0] == b"\0\xff\n" * 1000
        assert process.returncode == 0


def _start_debug(shop: Shop, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tasks.py"), "debug", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(**shop.variables({})),
        cwd=shop.root,
    )


def test_ended_debug_command_leaves_no_container(shop: Shop):
    shop.start()
    with start_command(shop, "debug", "web", "--command", "echo ready; sleep 600") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(timeout=60) == 143
    name = f"name={shop.name}-web-debug"
    assert docker("ps", "-aq", "--filter", name) == ""


def test_logs_of_the_services_are_in_order_of_time(shop: Shop):
    shop.start()
    words = [f"{service} {number}" for number in range(3) for service in reversed(SERVICES)]
    for word in words:
        service = word.split()[0]
        script = f"open('/proc/1/fd/1', 'w').write('said {word}\\n')"
        docker("exec", f"{shop.name}-{service}-1", "python3.11", "-c", script)
    lines = shop.inv("logs").output.splitlines()
    assert [line.partition("said ")[2] for line in lines if "said " in line] == words
    with start_command(shop, "logs", "--follow", "--lines", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=30) == 143


def test_ps_prints_json(shop: Shop):
    shop.start()
    services = json.loads(shop.inv("ps", "--format", "json").output)
    assert [service.pop("container") for service in services] == shop.containers()
    expected = {"status": "running", "health": "healthy", "restarts": 0, "ports": []}
    assert services == [{"service": service, **expected} for service in SERVICES]


# --- run-api


def _read_port(output: IO[str] | None) -> int:
    assert output is not None
    return int(output.readline().partition("http://127.0.0.1:")[2].split()[0])


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.0 200")


def test_two_run_api_have_a_container_each_and_leave_nothing(shop: Shop):
    shop.start()
    shop.inv("down")
    with start_command(shop, "run-api") as first, start_command(shop, "run-api") as second:
        ports = [_read_port(process.stdout) for process in (first, second)]
        assert all(map(_answers, ports))
        mounts = "{{range .Mounts}}{{.Name}} {{end}}"
        volumes = docker("inspect", "--format", mounts, *shop.containers()).split()
        assert len(volumes) == 2
        first.terminate()
        assert first.wait(timeout=60) == 143
        assert _answers(ports[1])
        assert len(shop.containers()) == 1
        second.send_signal(signal.SIGINT)
        read_until(second, "Ctrl-C")
        second.send_signal(signal.SIGINT)  # an impatient user
        assert second.wait(timeout=60) in (130, -signal.SIGINT)  # the latter while Python ends
    assert not shop.leftovers()
    assert not set(volumes) & set(docker("volume", "ls", "-q").split())


def test_run_api_fails_when_down_removes_its_container(shop: Shop):
    shop.start()
    with start_command(shop, "run-api") as process:
        _read_port(process.stdout)
        assert shop.inv("down").status == 0
        assert "running web" in read_until(process, "✗")
        assert process.wait(timeout=60) == 1
    assert not shop.leftovers()
