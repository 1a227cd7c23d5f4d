"""Tests of app.probe as the image's health check runs it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROBE = Path(__file__).parents[3] / "app" / "probe.py"


def _probe(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROBE), str(port)],
        capture_output=True,
        text=True,
        timeout=30,
    )


@contextmanager
def _server(response: bytes) -> Iterator[int]:
    """Answer one connection with `response`, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(response)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=10)


def test_status_200_passes() -> None:
    with _server(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        result = _probe(port)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "500 Internal Server Error"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "2000"),
        (b"", "without a response"),
    ],
)
def test_any_other_response_fails_with_one_line(response: bytes, reason: str) -> None:
    with _server(response) as port:
        result = _probe(port)
    assert (result.returncode, len(result.stdout.splitlines()), result.stderr) == (1, 1, "")
    assert reason in result.stdout


def test_refused_connection_fails_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = _probe(port)
    assert (result.returncode, len(result.stdout.splitlines()), result.stderr) == (1, 1, "")
    assert "refused" in result.stdout
