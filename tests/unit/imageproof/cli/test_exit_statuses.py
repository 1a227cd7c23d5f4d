"""Tests of the table of exit statuses: each command on a machine or project that lacks something.

0 holds, 1 violation, 2 contract, configuration or command line wrong, 3 machine or network lacks
something.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from imageproof import console, contract
from imageproof.cli.collection import make_collection
from imageproof.cli.program import make_program
from imageproof.docker import program
from imageproof.docker.errors import translate
from ops.tasks import namespace
from tests.support.sample_facts import ROOT

# Each command with the arguments that it needs. Those of OTHERS do not use the engine, or take
# minutes.
COMMANDS = {
    "doctor": ["doctor"],
    "build": ["build"],
    "lint": ["lint"],
    "verify": ["verify"],
    "size": ["size"],
    "sbom": ["sbom"],
    "up": ["up"],
    "down": ["down"],
    "logs": ["logs"],
    "ps": ["ps"],
    "run-api": ["run-api"],
    "debug": ["debug", "web"],
    "watch": ["watch"],
    "push": ["push", "--registry", "host.invalid/shop", "--tag", "1"],
    "deploy": ["deploy"],
    "rollback": ["rollback"],
    "status": ["status"],
    "clean": ["clean"],
}
OTHERS = {"provision", "explain", "promote", "lock", "test", "bench", "backup", "restore"}
NEED_AN_ENGINE = sorted(COMMANDS.keys() - {"lint"})
CONTRACT = """
[tool.imageproof.images.web]
service = "web"
size = "9MB"
user = "10001:10001"
command = ["/server"]
health = { path = "/", port = 8000, notices_within = 60, ready_within = 20 }
"""
COMPOSE = "name: shop\nservices:\n  web:\n    image: shop/web:local\n    build: .\n"
Run = Callable[..., tuple[int, str]]


def test_table_has_each_command():
    assert set(namespace.task_names) <= COMMANDS.keys() | OTHERS


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("shop")
    (folder / "pyproject.toml").write_text(CONTRACT)
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return folder


@pytest.fixture
def run(monkeypatch, capsys) -> Iterator[Run]:
    """Return a function that runs a command of imageproof in a project: status and messages."""
    monkeypatch.setattr("imageproof.signals.install_handlers", lambda: None)
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    program = make_program(make_collection(), "imageproof")

    def run(name: str, root: Path, **variables: str) -> tuple[int, str]:
        for variable, value in {"IMAGEPROOF_ROOT": str(root), **variables}.items():
            monkeypatch.setenv(variable, value)
        contract.load.cache_clear()
        with pytest.raises(SystemExit) as caught:
            program.run(["imageproof", *COMMANDS[name]])
        messages = capsys.readouterr().err
        assert "Traceback" not in messages
        assert "a defect of this program" not in messages, messages
        return int(caught.value.code or 0), messages

    yield run
    contract.load.cache_clear()
    console.set_program_name("./inv")


def _run_all(
    run: Run, names: Iterable[str], root: Path, **variables: str
) -> dict[str, tuple[int, str]]:
    return {name: run(name, root, **variables) for name in names}


def _require(results: dict[str, tuple[int, str]], status: int, *texts: str) -> None:
    """Check that each command ended with a status and an error with these texts and a hint."""
    for name, (actual, messages) in results.items():
        assert actual == status, f"{name}: {messages}"
        assert "✗ " in messages, name
        assert "\n→ " in messages, f"{name}: {messages}"
        for text in texts:
            assert text in messages, f"{name}: {messages}"


def test_each_command_without_a_docker_client_ends_with_3(run, project):
    results = _run_all(run, sorted(COMMANDS), project, PATH="/nowhere")
    results.pop("doctor")  # it prints a table
    _require(results, 3, "there is no docker client on PATH", "imageproof doctor")


def _has_docker() -> bool:
    result = subprocess.run(["docker", "--version"], capture_output=True)
    return result.returncode == 0


@pytest.mark.skipif(not _has_docker(), reason="needs the docker program, but no engine")
class TestWithoutAnEngine:
    """The docker program is installed, but no engine answers it."""

    @pytest.mark.parametrize(
        "host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "tcp://nonsense.invalid:2375"]
    )
    def test_each_command_ends_with_3_and_names_the_address(self, run, project, host):
        results = _run_all(run, NEED_AN_ENGINE, project, DOCKER_HOST=host)
        doctor = results.pop("doctor")
        assert doctor[0] == 3, doctor[1]
        _require(results, 3, "the Docker engine does not answer", f"DOCKER_HOST is {host}")

    @pytest.mark.parametrize(
        "variables",
        [{"DOCKER_HOST": "http://x y"}, {"DOCKER_HOST": "fd://"}, {"DOCKER_CONTEXT": "nosuch"}],
        ids=str,
    )
    def test_each_command_ends_with_2_if_the_address_is_invalid(self, run, project, variables):
        names = [name for name in NEED_AN_ENGINE if name != "doctor"]
        results = _run_all(run, names, project, **variables)
        _require(results, 2, "the address or the context of the Docker engine is invalid")

    @pytest.mark.parametrize("answer", ["html", "text", "end", "error"])
    def test_each_command_ends_with_3_if_another_server_answers(
        self, run, project, tmp_path, answer
    ):
        with _server(tmp_path / "docker.sock", answer) as host:
            results = _run_all(run, NEED_AN_ENGINE, project, DOCKER_HOST=host)
        assert {name: status for name, (status, _) in results.items() if status != 3} == {}

    def test_server_that_never_answers_ends_the_command(self, run, project, tmp_path, monkeypatch):
        monkeypatch.setattr(program, "ANSWER_SECONDS", 0.5)
        with _server(tmp_path / "docker.sock", "silence") as host:
            results = _run_all(run, ("ps", "up", "build", "status"), project, DOCKER_HOST=host)
        _require(results, 3, "no Docker engine answered within")

    @pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
    def test_user_without_a_right_to_the_socket_gets_the_remedy(self, run, project, tmp_path):
        with _server(tmp_path / "docker.sock", "html") as host:
            (tmp_path / "docker.sock").chmod(0o600)
            for folder in (tmp_path, *tmp_path.parents):
                if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
                    folder.chmod(0o755)
            result = subprocess.run(
                ["docker", "version", "--format={{.Server.Version}}"],
                capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                env={"PATH": os.environ["PATH"], "HOME": "/tmp", "DOCKER_HOST": host},
            )  # fmt: skip
        error = translate("contacting the Docker engine", result.stderr)
        assert error.status == 3
        assert error.cause == "this user may not use the Docker engine's socket"
        assert "usermod -aG docker" in (error.hint or "")


@contextlib.contextmanager
def _server(path: Path, answer: str) -> Iterator[str]:
    """Serve something else than Docker's API on a socket, and yield its address."""
    body = b"<html>no</html>"
    head = b"\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    answers = {
        "html": b"HTTP/1.1 200 OK" + head + body,
        "error": b"HTTP/1.1 502 Bad Gateway" + head + body,
        "text": b"220 mail ready\r\n",
        "end": b"",
    }
    over = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(32)

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if answer == "silence":
                over.wait()
                return
            connection.recv(65536)
            connection.sendall(answers[answer])

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _broken_contract(folder: Path, kind: str) -> None:
    path = folder / "pyproject.toml"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a circle of links":
        path.symlink_to("pyproject.toml")
    elif kind != "missing":
        path.write_text(kind)


@pytest.mark.parametrize(
    "kind", ["missing", "a folder", "a circle of links", "[tool", "x = 1", "[tool.imageproof]\ny=1"]
)
def test_each_command_with_an_unreadable_or_wrong_contract_ends_with_2(run, tmp_path, kind):
    _broken_contract(tmp_path, kind)
    names = sorted(COMMANDS) if kind == "a folder" else ["ps", "lint", "deploy"]
    _require(_run_all(run, names, tmp_path), 2)


@pytest.mark.skipif(not _has_docker(), reason="needs the docker program, but no engine")
@pytest.mark.parametrize("text", ["services: [", "services:\n  web: {imgae: x}\n", ""])
def test_wrong_compose_file_ends_with_2(run, tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(CONTRACT)
    (tmp_path / "compose.yaml").write_text(text)
    _require(_run_all(run, ["lint", "status"], tmp_path), 2)


@pytest.mark.parametrize("closed", ["1", "2", "12"])
def test_closed_outputs_are_no_defect(closed):
    """`>&-`: the status is that of the command, and no other file takes the output's place."""
    redirections = " ".join(f"{descriptor}>&-" for descriptor in closed)
    command = f"{sys.executable} -m imageproof explain size.budget {redirections}"
    result = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
