"""Tests of the worker as a process with a job: a stop or a kill at any moment of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.config import ApiSettings, WorkerSettings
from app.reviews import Status
from app.store import Store, connect
from tests.support import llm_server, npm_registry, redis_server
from worker.queue import Queue

if TYPE_CHECKING:
    import redis

ROOT = Path(__file__).parents[3]
DOCKER_SECONDS = 10.0
"""Time from SIGTERM to SIGKILL of `docker stop`."""
UPGRADE = ("sample", "1.0.0", "1.1.0")


@contextmanager
def _worker(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    settings = {*ApiSettings.variables(), *WorkerSettings.variables()}
    inherited = {k: v for k, v in os.environ.items() if k not in settings}
    environment = inherited | {"WORKER_POLL_INTERVAL": "0.05", "NO_PROXY": "*"} | variables
    command = [sys.executable, "-m", "worker"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the worker as Docker does."""
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert time.monotonic() - started < DOCKER_SECONDS


linux_only = pytest.mark.skipif(not Path("/proc/self").exists(), reason="it reads /proc")


def _wait_for_closing(handler: npm_registry.Handler) -> None:
    handler.registry.closing.wait()


@pytest.fixture(scope="module")
def store_url() -> Iterator[str]:
    """Run a store at an address that the settings accept."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with redis_server.running("--bind", "127.0.0.1", "--port", str(port)):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def client(store_url: str) -> Iterator[redis.Redis]:
    client = connect(store_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: redis.Redis) -> Iterator[npm_registry.Registry]:
    """Return a registry; a review of two of its versions is queued."""
    Store(client).submit(*UPGRADE)
    with npm_registry.serving() as started:
        started.publish("1.0.0", {"a.js": b"1\n"})
        started.publish("1.1.0", {"a.js": b"eval(x)\n"})
        yield started


@pytest.fixture
def variables(store_url, registry, tmp_path) -> dict[str, str]:
    """Return the worker's environment."""
    return {
        "STORE_URL": store_url,
        "ARTIFACTORY_URL": registry.address,
        "TMPDIR": str(tmp_path),
    }


linux_only = pytest.mark.skipif(not Path("/proc/self").exists(), reason="it reads /proc")


def _wait_for_closing(handler: npm_registry.Handler) -> None:
    handler.registry.closing.wait()


def _is_returned(client: redis.Redis) -> bool:
    """Return whether another worker gets the job at once, as the first attempt."""
    job = Queue(client, "successor").claim()
    return job is not None and job.attempt == 1


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def _is_assessing(process: subprocess.Popen[bytes]) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _children(process)]
        return len(commands) == 1 and b"worker.assess_child" in commands[0]  # Node has ended
    return False


def test_a_review_is_done_by_processes_of_its_own(client, variables):
    with _worker(**variables) as process:
        _wait(lambda: Store(client).page(1)[0][0].status == Status.DONE)
        _stop(process)
    (review,), _ = Store(client).page(1)
    assert "code.eval" in {finding.signal for finding in review.result.findings}


def test_a_stop_during_a_download_returns_the_job(registry, client, variables):
    registry.replies["/sample"] = _wait_for_closing
    with _worker(**variables) as process:
        _wait(lambda: registry.requests)
        _stop(process)
    assert _is_returned(client)


@linux_only
def test_a_stop_during_the_assessment_returns_the_job(registry, client, variables):
    """Lines with a match every nine characters, which take several seconds."""
    line = "\U0001f600" + "'1.1.1.1'" * 116_000 + "\n"
    registry.publish("1.1.0", {"a.js": (line * 8).encode()})
    with _worker(**variables) as process:
        _wait(lambda: _is_assessing(process))
        _stop(process)
    assert _is_returned(client)


def test_a_stop_during_the_query_of_the_model_returns_the_job(client, variables):
    with llm_server.serving(llm_server.no_reply) as provider:
        variables["LLM_BASE_URL"] = f"http://127.0.0.1:{provider.port}/v1"
        with _worker(LLM_PROVIDER="openai", LLM_MODEL="m", **variables) as process:
            _wait(lambda: provider.bodies)
            _stop(process)
    assert _is_returned(client)


def test_a_stop_while_the_store_hangs_ends_the_worker_in_time(registry, client, variables):
    """Nothing can be written; the lease expires, and another worker claims the job."""
    registry.replies["/sample"] = _wait_for_closing
    store = client.info()["process_id"]
    with _worker(**variables) as process:
        _wait(lambda: registry.requests)
        os.kill(store, signal.SIGSTOP)
        try:
            _stop(process)
        finally:
            os.kill(store, signal.SIGCONT)


@linux_only
def test_a_killed_worker_leaves_no_process(registry, variables):
    """Node ends with its download, because its answer has no reader; the other has no request."""
    registry.replies["/sample"] = _wait_for_closing
    with _worker(**variables) as process:
        _wait(lambda: registry.requests)
        children = _children(process)
        process.kill()
    registry.closing.set()
    assert len(children) == 2
    _wait(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
