"""Tests of the worker as a process: its start, its stop, its checks and its imports."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import ApiSettings, WorkerSettings
from worker.probe import problem

ROOT = Path(__file__).parents[3]
SECRET = "hush-5f3a"


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


def test_bad_values_stop_the_start_with_one_line() -> None:
    """Status 2, each variable's name, no traceback, no secret."""
    url = f"http://user:{SECRET}@npm.test:99999"
    ended = run_python("-m", "worker", WORKER_POLL_INTERVAL="soon", ARTIFACTORY_URL=url)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("configuration: ")
    assert "ARTIFACTORY_URL must be" in line
    assert "WORKER_POLL_INTERVAL must be" in line
    assert SECRET not in line


def test_no_node_stops_the_start_with_one_line() -> None:
    """A worker that cannot diff must not look healthy."""
    ended = run_python("-m", "worker", PATH="/nowhere")
    assert (ended.returncode, ended.stderr) == (1, "worker: node is not on the PATH\n")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_beats_and_ends_with_0_when_asked(stop: signal.Signals, tmp_path: Path) -> None:
    """In the middle of an hour's wait; the start-up line says what it runs with, less its keys."""
    variables = {"TMPDIR": str(tmp_path), "LLM_API_KEY": SECRET, "API_TOKEN": SECRET}
    with subprocess.Popen(
        [sys.executable, "-m", "worker"],
        cwd=ROOT,
        env=_environment(WORKER_POLL_INTERVAL="3600", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            started = json.loads(process.stdout.readline())
            process.send_signal(stop)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert (started["message"], started["poll_interval"]) == ("worker started", 3600)
    assert started["node"].startswith("v")
    assert json.loads(out.splitlines()[-1])["message"] == "worker stopped"
    assert SECRET not in f"{started}{out}"


def test_its_heartbeat_is_one_that_the_probe_accepts(tmp_path: Path) -> None:
    """The two agree on the file's place and form."""
    script = (
        "import time, worker.run as r, worker.stop as s; stop = s.StopSignal();"
        "r.Queue.take = lambda self: stop.request(); r.run(stop); print(time.monotonic())"
    )
    ended = run_python("-c", script, TMPDIR=str(tmp_path))
    now = float(ended.stdout.splitlines()[-1])
    assert problem(str(tmp_path / "heartbeat"), now) is None


def test_the_smoke_test_writes_nothing(tmp_path: Path) -> None:
    """It says ok with a folder for temporary files that is not there."""
    ended = run_python("-m", "worker", "--check", TMPDIR=str(tmp_path / "absent"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ok\n", "")


def test_the_smoke_test_fails_without_node() -> None:
    """With one line."""
    ended = run_python("-m", "worker", "--check", PATH="/nowhere")
    assert (ended.returncode, ended.stderr) == (1, "worker: node is not on the PATH\n")


def test_the_self_test_diffs_two_tarballs() -> None:
    """One JSON line with the files that differ and Node's version."""
    ended = run_python("-m", "worker", "--self-test")
    assert (ended.returncode, ended.stderr) == (0, "")
    answer = json.loads(ended.stdout)
    assert answer.pop("node").startswith("v")
    assert answer == {"self_test": "ok", "files": ["gone.js", "index.js", "new.js"]}


def test_the_self_test_fails_without_node() -> None:
    """Status 1, and a line that says why."""
    ended = run_python("-m", "worker", "--self-test", PATH="/nowhere")
    assert ended.returncode == 1
    assert "not on the PATH" in json.loads(ended.stderr)["reason"]


def test_the_worker_loads_no_web_framework() -> None:
    """They are not in its image."""
    script = (
        "import sys, worker.run, worker.selftest, worker.llm.http_client;"
        "print({'fastapi', 'uvicorn', 'worker.run'} & {*sys.modules})"
    )
    assert run_python("-c", script).stdout == "{'worker.run'}\n"
