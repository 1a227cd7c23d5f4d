"""The API's container under a flood of unfinished requests, with the limits of compose.yaml."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from imageproof.stack import compose
from tests.support.commands import docker

CONNECTIONS = 4000
HEADER = b"GET /health HTTP/1.1\r\nHost: api.test\r\nA: " + b"x" * 15_000
PROBE = ("python", "-I", "-S", "/app/app/probe.py")


@pytest.fixture
def api(contract, engine, built, project_name) -> Iterator[str]:
    """Start the API alone; yield its container's id."""
    own = replace(engine, project=f"{project_name}-flood")
    try:
        own.compose("starting the API", "up", "--detach", "--no-build", "--wait", "api")
        yield own.containers(["api"])[0]["Id"]
    finally:
        compose.down(own, volumes=True, quiet=True)


@contextlib.contextmanager
def _open_files(number: int) -> Iterator[None]:
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(old[0], number), max(old[1], number)))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)


def test_health_answers_during_a_flood_of_unfinished_headers(api):
    (container,) = json.loads(docker("container", "inspect", api))
    (network,) = container["NetworkSettings"]["Networks"].values()
    port = container["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
    # Not by the published port: its proxy would limit the flood.
    address = (network["IPAddress"], 8000)
    probes = []
    with _open_files(CONNECTIONS + 200), contextlib.ExitStack() as stack:
        for number in range(CONNECTIONS):
            attacker = stack.enter_context(socket.create_connection(address, timeout=30))
            attacker.setblocking(False)
            with contextlib.suppress(OSError):
                attacker.send(HEADER)
            if number % 400 == 0:
                probes.append(subprocess.run(["docker", "exec", api, *PROBE]).returncode)
                health = httpx.get(f"http://127.0.0.1:{port}/health", timeout=30, trust_env=False)
                assert health.status_code == 200
    assert probes == [0] * len(probes)
    (container,) = json.loads(docker("container", "inspect", api))
    state = container["State"]
    assert (state["OOMKilled"], container["RestartCount"]) == (False, 0)
    assert state["Health"]["Status"] == "healthy"
    assert len(docker("logs", api).splitlines()) < 50
