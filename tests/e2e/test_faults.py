"""Faults of the machine, the project and the command line.

Each ends with the right exit status, prints its cause, a next step and the log lines that matter,
and leaves no container or network behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import (
    ROOT,
    Outcome,
    Project,
    docker,
    read_until,
    start_command,
    stop_process,
    wait_until,
)

NO_ENGINE = "unix:///nonexistent/docker.sock"


def assert_explains(outcome: Outcome, status: int, *words: str) -> None:
    """Assert the exit status, a line with the cause, a next step, and no traceback."""
    everything = outcome.output + outcome.messages
    assert outcome.status == status, everything
    assert "Traceback" not in everything
    assert "✗ " in outcome.messages
    assert "→ " in outcome.messages
    for word in words:
        assert word in everything


@pytest.mark.parametrize(
    "command", [["build"], ["up"], ["verify"], ["doctor"], ["run-api"], ["clean"]], ids=" ".join
)
def test_missing_engine_is_a_machine_error(command, project: Project):
    outcome = project.inv(*command, DOCKER_HOST=NO_ENGINE)
    assert_explains(outcome, 3, "`unset DOCKER_HOST")


def test_missing_docker_client_is_a_machine_error(project: Project, tmp_path: Path):
    outcome = project.inv("build", PATH=str(tmp_path))
    assert_explains(outcome, 3, "no docker client")


class EngineSocket:
    """A proxy socket of the engine. Cutting it looks like an engine that stops."""

    def __init__(self, path: Path) -> None:
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self._target = host.removeprefix("unix://")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._path = path
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._target)
                self._sockets += [client, engine]
                threading.Thread(target=self._forward, args=(client, engine), daemon=True).start()

    def _forward(self, client: socket.socket, engine: socket.socket) -> None:
        peers = {client: engine, engine: client}
        with contextlib.suppress(OSError, ValueError):
            while True:
                for source in select.select([client, engine], [], [])[0]:
                    chunk = source.recv(65536)
                    if not chunk:
                        peers[source].shutdown(socket.SHUT_WR)
                        return
                    peers[source].sendall(chunk)

    def cut(self) -> None:
        """Close the socket and all its connections."""
        self._path.unlink(missing_ok=True)
        for each in [self._server, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[EngineSocket]:
    socket_ = EngineSocket(tmp_path / "engine.sock")
    yield socket_
    socket_.cut()


def test_engine_that_stops_during_a_build_is_a_machine_error(
    project: Project, proxy: EngineSocket, tmp_path: Path
):
    project.edit("Dockerfile", "RUN echo prepared", "RUN echo first-step\nRUN sleep 60")
    host = f"unix://{tmp_path}/engine.sock"
    with start_command(project, "build", "--no-cache", DOCKER_HOST=host) as process:
        before = read_until(process, "first-step")
        proxy.cut()
        output, messages = process.communicate(timeout=60)
    outcome = Outcome(process.returncode, output, before + messages)
    assert_explains(outcome, 3, "engine", "unset DOCKER_HOST")


def test_taken_port_is_a_machine_error(project: Project):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        outcome = project.inv("up", WEB_PORT=port)
    assert_explains(outcome, 3, f"port {port} is already in use")
    assert not project.leftovers()


def test_full_disk_during_a_build_is_a_machine_error(project: Project):
    project.edit(
        "Dockerfile",
        "RUN echo prepared",
        "RUN --mount=type=tmpfs,target=/small,size=1m dd if=/dev/zero of=/small/x bs=1M count=2",
    )
    assert_explains(project.inv("build"), 3, "no space", "docker system df")


def test_failed_build_shows_its_instruction_and_last_lines(project: Project):
    project.edit(
        "Dockerfile", "RUN echo prepared", "RUN seq -f 'line-%g' 1000; echo the-reason >&2; exit 7"
    )
    outcome = project.inv("build")
    assert_explains(outcome, 1, "RUN seq", "the-reason", "exit code: 7")
    assert "line-1000" in outcome.messages
    assert "line-500\n" not in outcome.messages
    assert len(outcome.messages.splitlines()) < 30


def test_unreachable_base_image_is_a_machine_error(project: Project):
    outcome = project.inv("build", PYTHON_BASE="registry.invalid/python:3.11")
    assert_explains(outcome, 3, "registry.invalid/python:3.11", "PYTHON_BASE")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "--image", "nope"], ["no image 'nope'", "web"]),
        (["verify", "--image", "nope"], ["no image 'nope'"]),
        (["verify", "--only", "size.nope"], ["no check 'size.nope'", "size.budget"]),
        (["explain", "nope.nope"], ["no check 'nope.nope'"]),
        (["verify", "--format", "nope"], ["not 'nope'", "json"]),
        (["verify", "--image", "web=nope.invalid/x:1"], ["no image nope.invalid/x:1"]),
        (["logs", "--service", "nope"], ["no service 'nope'", "web"]),
        (["debug", "nope"], ["'nope'"]),
        (["nope"], ["nope"]),
        (["build", "--nope"], ["nope"]),
    ],
    ids=" ".join,
)
def test_wrong_command_line_is_a_usage_error(arguments, words, project: Project):
    assert_explains(project.inv(*arguments), 2, *words)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('user = "10001:10001"', 'user = "0:0"', "tool.imageproof.images.web.user"),
        ('size = "400MB"', 'size = "large"', "tool.imageproof.images.web.size"),
        ("ports = [8000]", "prots = [8000]", "tool.imageproof.images.web.prots"),
        ('service = "web"', "service = ", "invalid TOML"),
        ("[tool.imageproof.images.web]", "[tool.other.web]", "tool.imageproof.images"),
    ],
    ids=lambda value: value,
)
def test_invalid_contract_is_rejected_with_its_place(old, new, place, project: Project):
    project.edit("pyproject.toml", old, new)
    assert_explains(project.inv("build"), 2, place)


def test_contract_service_missing_from_the_compose_file_is_rejected(project: Project):
    project.edit("pyproject.toml", 'service = "web"', 'service = "wbe"')
    assert_explains(project.inv("build"), 2, "wbe", "web")


def test_invalid_line_in_env_file_is_rejected(project: Project):
    (project.root / ".env").write_text("GOOD=1\nBAD-NAME!=x\n")
    assert_explains(project.inv("build"), 2, ".env")


def test_invalid_compose_file_is_rejected(project: Project):
    project.edit("compose.yaml", "    image:", "   image:")
    assert_explains(project.inv("build"), 2, "compose")


def test_up_fails_if_a_service_never_becomes_healthy(project: Project):
    project.edit("Dockerfile", "('127.0.0.1', 8000)", "('127.0.0.1', 8001)")
    outcome = project.inv("up")
    assert_explains(outcome, 1, "web", "Connection refused")
    assert not project.leftovers()


def test_up_shows_and_stores_the_log_of_a_crashing_service(project: Project):
    project.edit("compose.yaml", "    init: true", "    init: true\n    restart: unless-stopped")
    project.edit(
        "compose.yaml",
        "    read_only: true",
        "    read_only: true\n    command: [python3.11, -c, \"raise SystemExit('gave up: 42')\"]",
    )
    outcome = project.inv("up")
    assert_explains(outcome, 1, "gave up: 42")
    assert not project.leftovers()
    (log,) = (project.root / ".imageproof/logs" / project.name).glob("*.log")
    assert "gave up: 42" in log.read_text()
    assert f".imageproof/logs/{project.name}" in outcome.messages


def test_interrupted_up_leaves_nothing(project: Project):
    project.edit("Dockerfile", "('127.0.0.1', 8000)", "('127.0.0.1', 8001)")
    project.edit("Dockerfile", "--start-period=1s", "--start-period=60s")
    with start_command(project, "up") as process:
        read_until(process, "» up")
        wait_until(lambda: bool(project.leftovers()), 60, "no container was started")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not project.leftovers()


def test_terminated_deep_verify_leaves_nothing(project: Project):
    """It waits for copies of the stack in threads; signals reach only the main thread."""
    assert project.inv("build").status == 0
    image = f"ancestor={project.name}/web:local"
    with start_command(project, "verify", "--deep", "--only", "line.teardown") as process:
        wait_until(lambda: bool(docker("ps", "-q", "-f", image)), 60, "no stack trial was started")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert not docker("ps", "-aq", "-f", image)


# --- the test runner

# The hooks of this repository's suite, and a fixture that reports its steps through a pipe.
CONFTEST = """
import os, signal, pytest
from tests.conftest import pytest_configure, pytest_keyboard_interrupt, pytest_testnodeready

@pytest.fixture
def resource():
    steps = os.open(os.environ["STEPS"], os.O_WRONLY)
    os.write(steps, b"set up")
    yield
    signal.raise_signal(signal.SIGINT)  # as pytest-xdist does if a cleanup takes long
    os.write(steps, b"cleaned up")
"""
TEST = "import signal\ndef test_it(resource): signal.pause()\n"
RUN = """
import sys
from pathlib import Path
from imageproof import signals
from ops import test_runner
signals.install_handlers()
test_runner.run(Path(sys.argv[1]), (), arguments="-p xdist -n1")
"""


@pytest.fixture
def next_step(tmp_path: Path) -> Iterator[Callable[[], bytes]]:
    """Return a function that waits for the next step that the inner fixture reports."""
    os.mkfifo(tmp_path / "steps")
    pipe = os.open(tmp_path / "steps", os.O_RDONLY | os.O_NONBLOCK)

    def read() -> bytes:
        assert select.select([pipe], [], [], 60)[0], "the inner fixture reported nothing"
        return os.read(pipe, 100)

    yield read
    os.close(pipe)


def test_interrupted_test_run_waits_for_cleanup(tmp_path, next_step):
    """The signal goes to the test runner's process only, as from a CI service."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests/test_it.py").write_text(TEST)
    variables = {
        "STEPS": str(tmp_path / "steps"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(ROOT),
    }
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert next_step() == b"set up"
            process.terminate()
            assert next_step() == b"cleaned up"
            _, messages = process.communicate()
        finally:
            stop_process(process, 60)
    assert messages.endswith("imageproof.signals.Interruption\n")
