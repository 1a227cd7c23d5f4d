"""Tests of the worker as a process: its start, stop, checks and imports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.config import ApiSettings, WorkerSettings
from worker.probe import problem

ROOT = Path(__file__).parents[3]
SECRET = "hush-5f3a"


def _environment(**variables: str) -> dict[str, str]:
    settings = {*ApiSettings.variables(), *WorkerSettings.variables()}
    return {k: v for k, v in os.environ.items() if k not in settings} | variables


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_an_invalid_configuration_exits_with_2_and_one_line_without_secrets() -> None:
    url = f"http://user:{SECRET}@npm.test:99999"
    result = _run("-m", "worker", WORKER_POLL_INTERVAL="soon", ARTIFACTORY_URL=url)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("configuration: ")
    assert "ARTIFACTORY_URL must be" in line
    assert "WORKER_POLL_INTERVAL must be" in line
    assert SECRET not in line


@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_a_missing_node_exits_with_1_and_one_line(mode: list[str]) -> None:
    result = _run("-m", "worker", *mode, PATH="/nowhere")
    assert (result.returncode, result.stderr) == (1, "worker: node is not on the PATH\n")


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not exist after 30 s"
        time.sleep(0.01)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_starts_healthy_and_exits_with_0_on_a_signal(
    stop: signal.Signals, tmp_path: Path
) -> None:
    """The signal arrives during an hour's wait. The log contains settings but no secret."""
    heartbeat = tmp_path / "heartbeat"
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
            _wait_for(heartbeat)
            heartbeat_problem = problem(str(heartbeat), time.monotonic())
            process.send_signal(stop)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert heartbeat_problem is None
    assert (started["message"], started["poll_interval"]) == ("worker started", 3600)
    assert started["node"].startswith("v")
    assert json.loads(out.splitlines()[-1])["message"] == "worker stopped"
    assert SECRET not in f"{started}{out}"


def test_the_smoke_test_needs_no_temporary_folder(tmp_path: Path) -> None:
    result = _run("-m", "worker", "--check", TMPDIR=str(tmp_path / "absent"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")


def test_the_self_test_diffs_two_versions() -> None:
    result = _run("-m", "worker", "--self-test")
    assert (result.returncode, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert answer.pop("node").startswith("v")
    assert answer == {"self_test": "ok", "files": ["gone.js", "index.js", "new.js"]}


def test_the_self_test_fails_without_node() -> None:
    result = _run("-m", "worker", "--self-test", PATH="/nowhere")
    assert result.returncode == 1
    assert "not on the PATH" in json.loads(result.stderr)["reason"]


def test_the_worker_loads_no_web_framework() -> None:
    """Its image does not contain one."""
    script = (
        "import sys, worker.run, worker.selftest, worker.llm.http_client;"
        "print({'fastapi', 'uvicorn', 'worker.run'} & {*sys.modules})"
    )
    assert _run("-c", script).stdout == "{'worker.run'}\n"
