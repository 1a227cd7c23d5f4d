"""Tests of the API as a process: its start, its stop and its smoke test."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import httpx

from app.drain import DRAIN_SECONDS
from tests.support.api_process import ROOT, environment, running


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
    )


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
    with running() as api:
        assert httpx.get(f"{api.url}/health", trust_env=False).status_code == 200
        api.process.send_signal(signal.SIGTERM)
        signalled_at = time.monotonic()
        assert api.process.wait(timeout=30) == 0
        assert time.monotonic() - signalled_at < DRAIN_SECONDS
        lines = api.finished_log()
        assert api.errors() == ""
    assert all(line["time"] for line in lines)
    assert "hush" not in json.dumps(lines)


def test_api_with_checked_readiness_serves_on_after_sigterm() -> None:
    with running() as api:
        process, url = api.process, api.url
        get = partial(httpx.get, trust_env=False, timeout=10)
        assert get(f"{url}/ready").status_code == 503  # the store is absent
        process.send_signal(signal.SIGTERM)
        signalled_at = time.monotonic()
        while time.monotonic() < signalled_at + DRAIN_SECONDS - 0.5:
            assert get(f"{url}/health").status_code == 200
        assert process.wait(timeout=30) == 0
