"""Tests of the API as a process: its start, its stop, its probe and its smoke test."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.config import ApiSettings, WorkerSettings
from app.drain import DRAIN_SECONDS

ROOT = Path(__file__).parents[3]
PROBE = ROOT / "app" / "probe.py"
# the real entry point, on a free port
ON_FREE_PORT = "import app.serve, app.__main__; app.serve.PORT = 0; app.__main__.main()"


def _environment(**variables: str) -> dict[str, str]:
    mine = {*ApiSettings.variables(), *WorkerSettings.variables()}
    return {k: v for k, v in os.environ.items() if k not in mine} | variables


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
    )


def _probe(port: int) -> subprocess.CompletedProcess[str]:
    return run_python("-I", "-S", str(PROBE), str(port))


def test_a_bad_value_stops_the_start_with_one_line() -> None:
    """Status 2, the variable's name, no traceback."""
    ended = run_python("-m", "app", API_RATE_LIMIT="-7")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        "configuration: API_RATE_LIMIT must be a number of requests a second above 0"
    )


def test_the_smoke_test_needs_no_setting() -> None:
    """It says ok and nothing else, even where a setting is wrong."""
    ended = run_python("-m", "app", "--check", API_RATE_LIMIT="-7")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ok\n", "")


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the API on a free port, and yield the process and the port."""
    with subprocess.Popen(
        [sys.executable, "-c", ON_FREE_PORT],
        cwd=ROOT,
        env=_environment(API_TOKEN="hush-5f3a"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            lines, port = [], None
            assert process.stdout is not None
            while port is None and (line := process.stdout.readline()):
                lines.append(json.loads(line)["message"])
                port = re.search(r"running on .*:(\d+)", lines[-1])
            assert port is not None, lines
            yield process, int(port[1])
        finally:
            process.kill()


def test_it_serves_then_ends_with_0_at_sigterm() -> None:
    """The probe finds it healthy; its whole log is JSON; to be stopped is no failure."""
    with started() as (process, port):
        assert _probe(port).returncode == 0
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert all(json.loads(line)["time"] for line in out.splitlines())
    assert "hush" not in out


def test_balanced_api_reports_not_ready_and_serves_on_after_sigterm() -> None:
    """The store is absent in this test, so the detail shows which check failed."""
    with started() as (process, port):
        get = partial(httpx.get, trust_env=False, timeout=10)
        assert get(f"http://127.0.0.1:{port}/ready").status_code == 503
        process.send_signal(signal.SIGTERM)
        stopping = time.monotonic()
        while time.monotonic() < stopping + DRAIN_SECONDS - 0.5:
            assert get(f"http://127.0.0.1:{port}/health").status_code == 200
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - stopping < DRAIN_SECONDS + 2


@pytest.fixture
def answering() -> Iterator[tuple[int, list[bytes]]]:
    """A server on a free port that answers one connection with the bytes put in the list."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answers[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], answers
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "500 Internal Server Error"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "2000"),
        (b"", "without a response"),
    ],
)
def test_the_probe_fails_and_says_why(
    answering: tuple[int, list[bytes]], answer: bytes, said: str
) -> None:
    """Anything but 200 is not healthy; one line tells what came."""
    port, answers = answering
    answers.append(answer)
    ended = _probe(port)
    assert (ended.returncode, len(ended.stdout.splitlines()), ended.stderr) == (1, 1, "")
    assert said in ended.stdout


def test_the_probe_fails_where_nobody_listens() -> None:
    """One line, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = _probe(port)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "refused" in ended.stdout
