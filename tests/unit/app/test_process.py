"""Tests of the API as a process: its start, its stop and its smoke test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from app.config import ApiSettings, WorkerSettings
from app.drain import DRAIN_SECONDS

ROOT = Path(__file__).parents[3]
# The real entry point on a free port.
ON_FREE_PORT = "import app.serve, app.__main__; app.serve.PORT = 0; app.__main__.main()"


def _environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with only these variables of the settings."""
    settings = {*ApiSettings.variables(), *WorkerSettings.variables()}
    return {k: v for k, v in os.environ.items() if k not in settings} | variables


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
    )


@contextmanager
def _running() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the API on a free port, and yield the process and its URL."""
    with subprocess.Popen(
        [sys.executable, "-c", ON_FREE_PORT],
        cwd=ROOT,
        env=_environment(API_TOKEN="hush-5f3a-hush-5f3a"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            messages, port = [], None
            assert process.stdout is not None
            while port is None and (line := process.stdout.readline()):
                messages.append(json.loads(line)["message"])
                port = re.search(r"running on .*:(\d+)", messages[-1])
            assert port is not None, messages
            yield process, f"http://127.0.0.1:{port[1]}"
        finally:
            process.kill()


def test_invalid_setting_stops_the_start_with_one_line() -> None:
    result = _run(API_RATE_LIMIT="-7")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        "configuration: API_RATE_LIMIT must be a number of requests a second above 0"
    )


def test_smoke_test_ignores_settings() -> None:
    result = _run("--check", API_RATE_LIMIT="-7")
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")


def test_sigterm_stops_at_once_with_status_0() -> None:
    """No load balancer has checked /ready, so the server does not wait."""
    with _running() as (process, url):
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        signalled_at = time.monotonic()
        out, errors = process.communicate(timeout=30)
        assert time.monotonic() - signalled_at < DRAIN_SECONDS
    assert (process.returncode, errors) == (0, "")
    assert all(json.loads(line)["time"] for line in out.splitlines())
    assert "hush" not in out


def test_api_with_checked_readiness_serves_on_after_sigterm() -> None:
    with _running() as (process, url):
        get = partial(httpx.get, trust_env=False, timeout=10)
        assert get(f"{url}/ready").status_code == 503  # the store is absent
        process.send_signal(signal.SIGTERM)
        signalled_at = time.monotonic()
        while time.monotonic() < signalled_at + DRAIN_SECONDS - 0.5:
            assert get(f"{url}/health").status_code == 200
        assert process.wait(timeout=30) == 0
