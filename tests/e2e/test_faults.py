"""What goes wrong: each fault ends with the right status, names its cause and the next step,
shows the tail of the log that matters, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import (
    ROOT,
    Outcome,
    Project,
    docker,
    read_until,
    started,
    stop_process,
    wait_until,
)

NOWHERE = "unix:///nonexistent/docker.sock"


def assert_explains(outcome: Outcome, status: int, *words: str) -> None:
    """A failure: its status, one line with the cause, a next step, and no traceback."""
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
def test_no_engine(command, project: Project):
    outcome = project.inv(*command, DOCKER_HOST=NOWHERE)
    assert_explains(outcome, 3, "provision")


def test_no_docker_client(project: Project, tmp_path: Path):
    outcome = project.inv("build", PATH=str(tmp_path))
    assert_explains(outcome, 3, "no docker client")


class CuttableRoad:
    """A socket that leads to the engine until it is cut: an engine that stops mid-way."""

    def __init__(self, path: Path) -> None:
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self._target = host.removeprefix("unix://")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._path = path
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._ends += [near, far]
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with contextlib.suppress(OSError, ValueError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    chunk = end.recv(65536)
                    if not chunk:
                        other[end].shutdown(socket.SHUT_WR)
                        del other[end]
                        return
                    other[end].sendall(chunk)

    def cut(self) -> None:
        self._path.unlink(missing_ok=True)
        for held in [self._server, *self._ends]:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[CuttableRoad]:
    made = CuttableRoad(tmp_path / "engine.sock")
    yield made
    made.cut()


def test_the_engine_stops_during_a_build(project: Project, road: CuttableRoad, tmp_path: Path):
    project.edit("Dockerfile", "RUN echo prepared", "RUN echo first-step\nRUN sleep 60")
    host = f"unix://{tmp_path}/engine.sock"
    with started(project, "build", "--no-cache", DOCKER_HOST=host) as process:
        seen = read_until(process, "first-step")
        road.cut()
        output, messages = process.communicate(timeout=60)
    assert_explains(Outcome(process.returncode, output, seen + messages), 3, "engine", "doctor")


def test_the_port_is_taken(project: Project):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        outcome = project.inv("up", WEB_PORT=port)
    assert_explains(outcome, 3, f"port {port} is already in use")
    assert not project.leftovers()


def test_no_space_for_the_build(project: Project):
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


def test_the_base_is_unreachable(project: Project):
    outcome = project.inv("build", PYTHON_BASE="registry.invalid/python:3.11")
    assert_explains(outcome, 3, "registry.invalid/python:3.11", "PYTHON_BASE")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "--image", "nope"], ["no image 'nope'", "web"]),
        (["verify", "--image", "nope"], ["no image 'nope'"]),
        (["verify", "--only", "size.nope"], ["no check 'size.nope'", "size.budget"]),
        (["explain", "nope.nope"], ["no check 'nope.nope'"]),
        (["verify", "--format", "nope"], ["no format 'nope'", "json"]),
        (["verify", "--image", "web=nope.invalid/x:1"], ["no image nope.invalid/x:1"]),
        (["logs", "--service", "nope"], ["no service 'nope'", "web"]),
        (["debug", "nope"], ["'nope'"]),
        (["nope"], ["nope"]),
        (["build", "--nope"], ["nope"]),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(arguments, words, project: Project):
    assert_explains(project.inv(*arguments), 2, *words)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('user = "10001:10001"', 'user = "0:0"', "tool.imageproof.images.web.user"),
        ('size = "400MB"', 'size = "large"', "tool.imageproof.images.web.size"),
        ("ports = [8000]", "prots = [8000]", "tool.imageproof.images.web.prots"),
        ('service = "web"', "service = ", "not TOML"),
        ("[tool.imageproof.images.web]", "[tool.other.web]", "tool.imageproof.images"),
    ],
    ids=lambda value: value,
)
def test_a_broken_contract_is_refused_with_its_place(old, new, place, project: Project):
    project.edit("pyproject.toml", old, new)
    assert_explains(project.inv("build"), 2, place)


def test_contract_service_missing_from_the_compose_file(project: Project):
    project.edit("pyproject.toml", 'service = "web"', 'service = "wbe"')
    assert_explains(project.inv("build"), 2, "wbe", "web")


def test_a_broken_line_in_env(project: Project):
    (project.root / ".env").write_text("GOOD=1\nBAD-NAME!=x\n")
    assert_explains(project.inv("build"), 2, ".env")


def test_a_broken_compose_file(project: Project):
    project.edit("compose.yaml", "    image:", "   image:")
    assert_explains(project.inv("build"), 2, "compose")


NEVER_HEALTHY = 'CMD ["python3.11", "-c", "import sys; print(\'gave up: 42\'); sys.exit(1)"]'


def test_a_service_that_never_becomes_healthy(project: Project):
    project.edit("Dockerfile", "('127.0.0.1', 8000)", "('127.0.0.1', 8001)")
    outcome = project.inv("up")
    assert_explains(outcome, 1, "web", "Connection refused")
    assert not project.leftovers()


def test_a_service_that_crashes_shows_its_log(project: Project):
    project.edit("compose.yaml", "    init: true", "    init: true\n    restart: unless-stopped")
    project.edit(
        "compose.yaml",
        "    read_only: true",
        "    read_only: true\n    command: [python3.11, -c, \"raise SystemExit('gave up: 42')\"]",
    )
    outcome = project.inv("up")
    assert_explains(outcome, 1, "gave up: 42")
    assert not project.leftovers()
    (kept,) = (project.root / ".imageproof/logs" / project.name).glob("*.log")
    assert "gave up: 42" in kept.read_text()
    assert f".imageproof/logs/{project.name}" in outcome.messages


def test_an_interrupted_start_leaves_nothing(project: Project):
    project.edit("Dockerfile", "('127.0.0.1', 8000)", "('127.0.0.1', 8001)")
    project.edit("Dockerfile", "--start-period=1s", "--start-period=60s")
    with started(project, "up") as process:
        read_until(process, "» up")
        wait_until(lambda: bool(project.leftovers()), 60, "the start never began")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not project.leftovers()


def test_terminated_deep_verify_leaves_nothing(project: Project):
    """Copies of the stack are waited for in several threads, which no signal reaches."""
    assert project.inv("build").status == 0
    image = f"ancestor={project.name}/web:local"
    with started(project, "verify", "--deep", "--only", "line.teardown") as process:
        wait_until(lambda: bool(docker("ps", "-q", "-f", image)), 60, "the trial never began")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert not docker("ps", "-aq", "-f", image)


# --- the tests themselves

# Of a test that waits to be interrupted, in a process of pytest-xdist, and then clears away.
HOLDS = """
import os, signal, pytest
from tests.conftest import pytest_configure, pytest_keyboard_interrupt, pytest_testnodeready

@pytest.fixture
def held():
    told = os.open(os.environ["TOLD"], os.O_WRONLY)
    os.write(told, b"begun")
    yield
    signal.raise_signal(signal.SIGINT)  # as pytest-xdist does where this takes long
    os.write(told, b"cleared")
"""
WAITS = "import signal\ndef test_it(held): signal.pause()\n"


@pytest.fixture
def told(tmp_path):
    """A function that waits for what the fixture says; nothing, when that has ended."""
    os.mkfifo(tmp_path / "told")
    pipe = os.open(tmp_path / "told", os.O_RDONLY | os.O_NONBLOCK)

    def read() -> bytes:
        assert select.select([pipe], [], [], 60)[0], "nothing is told"
        return os.read(pipe, 100)

    yield read
    os.close(pipe)


def test_interrupted_test_run_waits_for_cleanup(tmp_path, told):
    """A CI service, say, whose signal goes to this process alone."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "conftest.py").write_text(HOLDS)
    (tmp_path / "tests/test_it.py").write_text(WAITS)
    program = (
        "import sys; from pathlib import Path; from imageproof import signals;"
        "from ops import test_runner; signals.install_handlers();"
        "test_runner.run(Path(sys.argv[1]), (), arguments='-p xdist -n1')"
    )
    variables = {"TOLD": str(tmp_path / "told"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env=os.environ | variables | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert told() == b"begun"
            running.terminate()
            assert told() == b"cleared"
            _, said = running.communicate()
        finally:
            stop_process(running, 60)
    assert said.endswith("imageproof.signals.Interruption\n")
