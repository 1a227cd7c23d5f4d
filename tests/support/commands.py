"""Helpers of the end-to-end tests: commands, waiting, and a small project to break."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("api", "worker")
POLL_SECONDS = 0.25  # most conditions start a docker client, beside other tests
STOP_SECONDS = 60


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    failure: str | Callable[[], str],
    interval: float = POLL_SECONDS,
) -> None:
    """Wait for a condition, or fail the test after `seconds`. Choose a generous bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(failure if isinstance(failure, str) else failure())
        time.sleep(interval)


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock that all test processes share, so that one of them at a time builds an image."""
    path = ROOT / f".ops/tests-{name}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file closes, even after a crash
        yield


@dataclass(frozen=True)
class Outcome:
    """Result of a command: exit status, stdout and stderr."""

    status: int
    output: str
    messages: str


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without the commands' settings, plus `variables`."""
    # PYTHONUNBUFFERED would hide a missing flush.
    settings = {
        "PYTHONUNBUFFERED",
        "PYTHON_BASE",
        "COMPOSE_PROJECT_NAME",
        "COMPOSE_FILE",
        "COMPOSE_PROFILES",
        "COMPOSE_ENV_FILES",
        "API_PORT",
        "IMAGEPROOF_ROOT",
    }
    others = {name: value for name, value in os.environ.items() if name not in settings}
    return {**others, **variables}


def inv(*arguments: str, **variables: str) -> Outcome:
    """Run `invoke` with these arguments and environment variables."""
    with _start(arguments, variables, subprocess.PIPE) as process:
        output, messages = process.communicate()
    return Outcome(process.returncode, output, messages)


@contextlib.contextmanager
def _start(
    arguments: tuple[str, ...], variables: dict[str, str], stream: int
) -> Iterator[subprocess.Popen[str]]:
    # Not subprocess.run: on Ctrl-C it kills the command before the command has cleaned up.
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tasks.py"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=stream,
        text=True,
        cwd=variables.get("IMAGEPROOF_ROOT", ROOT),
        env=clean_environment(**variables),
    ) as process:
        try:
            yield process
        finally:
            stop_process(process, STOP_SECONDS)


def stop_process(process: subprocess.Popen[Any], seconds: float) -> None:
    """Terminate a process, and kill it if it has not ended after `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def docker(*arguments: str) -> str:
    """Return the output of a docker command. The test fails if the command fails."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@contextlib.contextmanager
def minimal_base(base: str) -> Iterator[str]:
    """Build a base image of a sixth of the size (e2e/base/) under a new tag; remove it at the end.

    Small projects use it, because their tests build, save and push images often.
    """
    tag = f"ops-e2e-{secrets.token_hex(4)}:base"
    scripts, folder = ROOT / "ops/dockerfiles/base", ROOT / "tests/e2e/base"
    options = ("--build-arg", f"PYTHON_BASE={base}", "--build-context", f"build-scripts={scripts}")
    try:
        docker("buildx", "build", "--load", "-q", "-t", tag, *options, str(folder))
        yield tag
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True)


SMALL_CONTRACT = """
[tool.imageproof.images.web]
service = "web"
size = "400MB"
user = "10001:10001"
command = ["python3.11", "-m", "http.server", "8000"]
ports = [8000]
writable = ["/tmp", "/var/tmp"]
health = { path = "/", port = 8000, notices_within = 60, ready_within = 20 }
"""

SMALL_COMPOSE = """
name: NAME
services:
  web:
    image: NAME/web:local
    init: true
    build:
      context: .
      dockerfile: Dockerfile
      target: runtime
      args: { PYTHON_BASE: "${PYTHON_BASE:-python:3.11-slim}", BASE_DIGEST: "${BASE_DIGEST:-}" }
    ports: ["127.0.0.1:${WEB_PORT:-0}:8000"]
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    environment: { GREETING: "${GREETING:-hello}" }
    tmpfs: ["/tmp", "/var/tmp"]
    mem_limit: 128m
    cpus: 1.0
    pids_limit: 32
    logging: { driver: local }
"""

SMALL_DOCKERFILE = """
ARG PYTHON_BASE
FROM ${PYTHON_BASE} AS runtime
ARG PYTHON_BASE
ARG BASE_DIGEST
RUN echo prepared
LABEL org.opencontainers.image.base.name="${PYTHON_BASE}" \\
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
WORKDIR /srv
COPY index.html /srv/
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=2s --timeout=5s --retries=2 --start-period=1s --start-interval=0.5s \\
    CMD ["python3.11", "-c", "import socket, sys; \\
    sys.exit(socket.socket().connect_ex(('127.0.0.1', 8000)) and 'Connection refused')"]
CMD ["python3.11", "-m", "http.server", "8000"]
"""


@dataclass(frozen=True)
class Project:
    """Small project in a folder of its own, for the commands of this repository."""

    root: Path
    name: str
    base_image: str

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        """Run a command in this project."""
        return inv(*arguments, **self.variables(variables))

    def variables(self, overrides: dict[str, str]) -> dict[str, str]:
        """Return the environment variables of a command in this project."""
        return {
            "PYTHON_BASE": self.base_image,
            "IMAGEPROOF_ROOT": str(self.root),
            "XDG_CACHE_HOME": str(self.caches),
            **overrides,
        }

    @property
    def caches(self) -> Path:
        """The user's cache folder, beside the project."""
        return self.root.with_name(f"{self.root.name}-caches")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in one of the project's files."""
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))

    def leftovers(self) -> str:
        """Return the ids of the project's containers and networks in the engine."""
        label = f"label=com.docker.compose.project={self.name}"
        return docker("ps", "-aq", "--filter", label) + docker("network", "ls", "-q", "-f", label)


@contextlib.contextmanager
def start_command(
    project: Project, *arguments: str, quiet: bool = False, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; stop it at the end. `quiet` discards its output."""
    stream = subprocess.DEVNULL if quiet else subprocess.PIPE
    with _start(arguments, project.variables(variables), stream) as process:
        yield process


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Read the process's messages up to the first line that contains `word`."""
    messages = ""
    assert process.stderr is not None
    for line in process.stderr:
        messages += line
        if word in line:
            return messages
    pytest.fail(f"{word!r} was never printed:\n{messages}")


def docker_images() -> set[str]:
    """Return every tag in the engine except those of tests that may run at the same time."""
    tags = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    others = ("ops-", "upgrade-gate-e2e-", "<none>", "127.0.0.1:")  # test registries: 127.0.0.1
    return {tag for tag in tags if not tag.startswith(others)}
