"""Tests of worker.child: limits, cancellation and orphans of real child processes."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from worker import node
from worker.child import Bounds, Cancelled, ChildError, Children, ChildResult
from worker.failure import ended

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024
ROOMY = Bounds(seconds=30, data_bytes=400 * MIB, output_bytes=64 * MIB)


def _run(
    text: str, request: bytes = b"", bounds: Bounds = ROOMY, children: Children | None = None
) -> ChildResult:
    command = [sys.executable, "-c", text]
    return (children or Children()).run(command, request, bounds)


def _limit(text: str, **bounds: float) -> str:
    with pytest.raises(ChildError) as caught:
        _run(text, bounds=Bounds(**{**vars(ROOMY), **bounds}))
    return caught.value.limit


ECHO = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"


def test_a_large_request_and_a_large_answer_cross():
    """The child answers while it reads, so neither side may wait for the other."""
    request = os.urandom(8 * MIB)
    assert _run(ECHO, request).stdout == request


def test_a_child_that_reads_nothing_may_end():
    assert _run("import sys; sys.exit(3)", b"x" * 8 * MIB).exit_status == 3


@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        "import time\nwhile True: print('x', flush=True); time.sleep(0.01)",
    ],
    ids=["busy", "idle", "without outputs", "talking"],
)
def test_a_child_is_killed_at_its_time_limit(text: str):
    assert _limit(text, seconds=0.5) == "time"


def test_a_child_is_killed_at_its_output_limit():
    assert _limit("while True: print('x' * 65536)", output_bytes=MIB) == "output"


def test_a_missing_program_does_not_start():
    with pytest.raises(ChildError) as caught:
        Children().run(["/nowhere/node"], b"", ROOMY)
    assert caught.value.limit == "start"
    assert str(caught.value) == "node cannot be started: No such file or directory"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a child's memory")
def test_memory_is_limited():
    assert "MemoryError" in _run("x = bytearray(500 * 2**20)").stderr_end


def test_a_system_without_prlimit_runs_children_without_a_memory_limit(monkeypatch):
    """Such as macOS, on which the worker is developed."""
    monkeypatch.delattr(resource, "prlimit", raising=False)
    assert node.version().startswith("v")
    assert _limit("while True: pass", seconds=0.5) == "time"


def test_a_child_gets_only_the_allowed_environment_variables(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name != "PATH":
            monkeypatch.delenv(name)
    allowed = {"TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTP_PROXY", "no_proxy"}
    for name in (*allowed, "LLM_API_KEY", "NODE_OPTIONS", "HOME", "NPM_CONFIG_REGISTRY"):
        monkeypatch.setenv(name, str(tmp_path))
    script = tmp_path / "env.mjs"
    script.write_text("console.log(JSON.stringify(Object.keys(process.env)))")
    result = Children().run(node.command(script), b"", ROOMY)
    assert set(json.loads(result.stdout)) == {"PATH", *allowed}


# Starts another process that holds a pipe open for its lifetime, then writes a byte to the pipe.
GRANDCHILD = """
import os, subprocess, time
pipe = os.open(os.environ["TMPDIR"] + "/pipe", os.O_WRONLY)
subprocess.Popen(["sleep", "60"], pass_fds=[pipe], stdout=subprocess.DEVNULL)
os.write(pipe, b"x")
"""


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """Return the reading end of that pipe."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield end
    os.close(end)


def _read(pipe: int) -> bytes:
    """Wait for one byte; return b"" if no process holds the pipe any more."""
    ready, _, _ = select.select([pipe], [], [], 20)
    assert ready
    return os.read(pipe, 1)


def test_a_cancellation_from_another_thread_kills_the_process_group(pipe):
    children = Children()
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(_run, f"{GRANDCHILD}\ntime.sleep(60)", children=children)
        assert _read(pipe) == b"x"
        children.cancel()
        with pytest.raises(Cancelled):
            run.result()
    assert _read(pipe) == b""


def test_a_started_child_that_is_not_needed_is_killed(pipe):
    with Children().start([sys.executable, "-c", f"{GRANDCHILD}\ninput()"], ROOMY):
        assert _read(pipe) == b"x"
    assert _read(pipe) == b""


def test_after_a_cancellation_no_child_starts():
    children = Children()
    children.cancel()
    with pytest.raises(Cancelled):
        _run("pass", children=children)


def test_a_child_that_is_cancelled_gives_no_answer():
    """Its answer may be cut, so the job must not go on with it."""
    children = Children()
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(_run, "print(1); input()", b"", ROOMY, children)
        while not children._running:
            time.sleep(0.001)
        children.cancel()
        with pytest.raises(Cancelled):
            run.result()


def test_exceeding_a_limit_kills_the_process_group(pipe):
    assert _limit(f"{GRANDCHILD}\nwhile True: print('x' * 65536)", output_bytes=MIB) == "output"
    assert _read(pipe) == b"x"
    assert _read(pipe) == b""


BUSY = """
import os
pipe = os.open(os.environ["TMPDIR"] + "/pipe", os.O_WRONLY)
os.write(pipe, b"x")
while True: pass
"""
# A worker with a busy child.
WORKER = """
import sys
from worker.child import Bounds, Children
Children().run([sys.executable, "-c", sys.argv[1]], b"", Bounds(1, 2**28, 1000))
"""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits an orphan")
def test_a_busy_orphan_of_a_killed_worker_ends(pipe):
    with subprocess.Popen([sys.executable, "-c", WORKER, BUSY], cwd=ROOT) as worker:
        assert _read(pipe) == b"x"
        worker.send_signal(signal.SIGKILL)
    assert _read(pipe) == b""  # its processor time is limited


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_a_process_out_of_processor_time_ends_with_the_signal_of_that_limit():
    """SIGKILL would look like a crash."""
    bounds = Bounds(**{**vars(ROOMY), "seconds": 0.5})
    with Children().start([sys.executable, "-c", "while True: pass"], bounds) as child:
        result = ChildResult(child.process.wait(30), b"", "")
    assert ended("comparison", result, bounds).code == "out_of_time"
