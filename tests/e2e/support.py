"""What the end-to-end tests share: running commands, waiting, and a small project to spoil."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.forking import Forking, forking

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("api", "worker")
POLL_SECONDS = 0.25  # most questions are a process of the docker client, and others wait as well


def wait_until(
    holds: Callable[[], bool],
    seconds: float,
    otherwise: str | Callable[[], str],
    every: float = POLL_SECONDS,
) -> None:
    """Wait for a condition; the bound is generous, since only its absence takes that long."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(every)


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Hold back the other processes that run tests, which need the same made: they find it then."""
    path = ROOT / f".ops/tests-{what}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed, whatever becomes of this process
        yield


@dataclass(frozen=True)
class Outcome:
    """What a command of the line came to."""

    status: int
    output: str
    messages: str


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would steer the line, and with `variables`."""
    # PYTHONUNBUFFERED would hide that a line was not flushed.
    steering = {
        "PYTHONUNBUFFERED",
        "PYTHON_BASE",
        "COMPOSE_PROJECT_NAME",
        "COMPOSE_FILE",
        "API_PORT",
        "OPS_ROOT",
    }
    kept = {name: value for name, value in os.environ.items() if name not in steering}
    return {**kept, **variables}


@cache
def _line() -> Forking:
    """A process that has imported all that commands import: it ends with this one."""
    line = ROOT / "ops"
    files = {f for f in line.rglob("*.py") if not f.is_relative_to(line / "dockerfiles")}
    names = sorted(".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files)
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(forking(*(name.removesuffix(".__init__") for name in names)))


def inv(*arguments: str, **variables: str) -> Outcome:
    """Run a command as ./inv does, in a process of its own; its imports were made before."""
    folder = variables.get("OPS_ROOT", ROOT)
    environment = clean_environment(**variables)
    done = _line().run(str(ROOT / "tasks.py"), *arguments, env=environment, cwd=folder)
    return Outcome(done.returncode, done.stdout, done.stderr)


def docker(*arguments: str) -> str:
    """What a docker command prints; a failure is the test's failure."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@contextlib.contextmanager
def sixth_of(base: str) -> Iterator[str]:
    """What small projects stand on: out of the real base, and a sixth of it (e2e/base/). The tag is
    the caller's own, and gone afterwards."""
    tag = f"ops-e2e-{secrets.token_hex(4)}:base"
    line, folder = ROOT / "ops/dockerfiles/base", ROOT / "tests/e2e/base"
    given = ("--build-arg", f"PYTHON_BASE={base}", "--build-context", f"line={line}")
    try:
        docker("buildx", "build", "--load", "-q", "-t", tag, *given, str(folder))
        yield tag
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True)


SMALL_CONTRACT = """
[tool.ops.images.web]
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
    """A small project of its own, judged by the same line."""

    root: Path
    name: str
    base_image: str

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        variables = {"PYTHON_BASE": self.base_image, **variables}
        return inv(*arguments, OPS_ROOT=str(self.root), **variables)

    def edit(self, file: str, old: str, new: str) -> None:
        """Plant a fault."""
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))

    def leftovers(self) -> str:
        """Containers and networks of this project that are still in the engine."""
        label = f"label=com.docker.compose.project={self.name}"
        return docker("ps", "-aq", "--filter", label) + docker("network", "ls", "-q", "-f", label)


def end(process: subprocess.Popen[Any], seconds: float) -> None:
    """End a program that a test started: asked first, and killed where it takes longer."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def started(
    project: Project, *arguments: str, quiet: bool = False, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A command that the test interferes with while it runs; quiet: nobody reads what it says. All
    of it is new, as a person starts it."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tasks.py"), *arguments],
        stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else subprocess.PIPE,
        text=True,
        cwd=project.root,
        env=clean_environment(
            PYTHON_BASE=project.base_image, OPS_ROOT=str(project.root), **variables
        ),
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        end(process, 60)


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Messages up to the one with that word."""
    seen = ""
    assert process.stderr is not None
    for line in process.stderr:
        seen += line
        if word in line:
            return seen
    pytest.fail(f"{word!r} was never said:\n{seen}")


def docker_images() -> set[str]:
    """Every tag in the engine but those of tests, which may run beside this one: their registries
    are on the loopback."""
    tags = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    others = ("ops-", "upgrade-gate-e2e-", "<none>", "127.0.0.1:")
    return {tag for tag in tags if not tag.startswith(others)}
