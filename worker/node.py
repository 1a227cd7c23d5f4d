"""Node processes with limits on time, memory, output and environment."""

import contextlib
import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Sizes of V8's old and young generations in MB. File contents and zlib's buffers lie outside both.
# The young generation starts at its maximum: growing it takes about a twentieth of a review's time.
_HEAP_OPTIONS = ("--max-old-space-size=128", "--max-semi-space-size=4", "--min-semi-space-size=4")
# Limit of RLIMIT_DATA: all memory that the process can write to, its threads' stacks included.
# RLIMIT_AS does not fit, because V8 reserves far more address space than it uses.
_MAX_DATA_BYTES = 400 * 1024 * 1024
# The program reads untrusted files, so it gets no token, no key and no NODE_OPTIONS.
_ALLOWED_VARIABLES = (
    "PATH",
    "TMPDIR",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_MAX_STDERR_BYTES = 2000
_PIPE_BYTES = 65536  # Linux' default size of a pipe's buffer
_running: set[subprocess.Popen[bytes]] = set()


class NodeError(Exception):
    """Node cannot run, or was killed at a limit."""


@dataclass(frozen=True)
class NodeResult:
    """Result of a Node process."""

    exit_status: int
    stdout: bytes
    stderr_end: str


def version() -> str:
    """Return Node's version, such as "v18.20.4"; raise NodeError if Node does not run."""
    result = _communicate([_node(), "--version"], b"", timeout=10, max_output=100)
    text = result.stdout.decode("ascii", "replace").strip()
    if result.exit_status != 0 or not text.startswith("v"):
        detail = result.stderr_end or text
        raise NodeError(f"node --version exited with {result.exit_status}: {detail}")
    return text


def run(script: Path, request: bytes, *, timeout: float, max_output: int) -> NodeResult:
    """Run a script.

    Args:
        script: the program's main file.
        request: its stdin.
        timeout: seconds until it is killed.
        max_output: bytes of stdout; it is killed if it writes more.

    Raises:
        NodeError: Node is missing, or was killed at a limit.
    """
    command = [_node(), *_HEAP_OPTIONS, str(script)]
    return _communicate(command, request, timeout=timeout, max_output=max_output)


def kill_all() -> None:
    """Kill all Node processes of this process, so that each `run` ends at once. Thread-safe."""
    for process in tuple(_running):
        _kill(process)


def _node() -> str:
    if (path := shutil.which("node")) is None:
        raise NodeError("node is not on the PATH")
    return path


def _communicate(
    command: list[str], request: bytes, *, timeout: float, max_output: int
) -> NodeResult:
    environment = {name: os.environ[name] for name in _ALLOWED_VARIABLES if name in os.environ}
    environment.setdefault("PATH", os.defpath)
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NodeError(f"node cannot be started: {error.strerror}") from error
    with process:
        _running.add(process)
        try:
            _limit_memory(process.pid)
            return _exchange(process, request, time.monotonic() + timeout, max_output)
        finally:
            _kill(process)
            _running.discard(process)


def _limit_memory(pid: int) -> None:
    # These errors mean that the process has already ended, or has a stricter limit.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (_MAX_DATA_BYTES, _MAX_DATA_BYTES))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, unless it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, deadline: float, max_output: int
) -> NodeResult:
    """Write the request, read stdout and stderr, wait; raise NodeError at a limit."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise NodeError("node was started without pipes")
    _send(process.stdin, request)
    stdout, stderr_end = _read(process.stdout, process.stderr, deadline, max_output)
    try:
        exit_status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise NodeError("node closed its outputs but did not exit, and was killed") from None
    return NodeResult(exit_status, stdout, stderr_end.decode("utf-8", "replace").strip())


def _read(
    stdout: IO[bytes], stderr: IO[bytes], deadline: float, max_output: int
) -> tuple[bytes, bytes]:
    """Read until both streams are closed; return stdout and the end of stderr."""
    output, errors = bytearray(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        selector.register(stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise NodeError("node exceeded its time limit and was killed")
            for key, _ in ready:
                chunk = os.read(key.fd, _PIPE_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is stdout:
                    output += chunk
                else:
                    errors = (errors + chunk)[-_MAX_STDERR_BYTES:]
            if len(output) > max_output:
                raise NodeError(f"node wrote more than {max_output} bytes and was killed")
    return bytes(output), errors


def _send(stdin: IO[bytes], request: bytes) -> None:
    """Write the request. It fits into the pipe's buffer, so the write cannot block."""
    if len(request) > _PIPE_BYTES:
        raise NodeError(f"the request has {len(request)} bytes, at most {_PIPE_BYTES} are allowed")
    try:
        stdin.write(request)
        stdin.close()
    except BrokenPipeError:
        pass  # the process ended early; its status and stderr say why
