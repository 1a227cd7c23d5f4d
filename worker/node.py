"""Runs Node, with bounds on its time, its memory, its output and its environment."""

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

# What JavaScript sees, old and young; contents of files and what zlib works with lie outside. The
# young begin with all that they may have: growing there costs a review some twentieth of its time.
_HEAP = ("--max-old-space-size=128", "--max-semi-space-size=4", "--min-semi-space-size=4")
# All that the process can write to, stacks of its threads included. Not RLIMIT_AS: V8 reserves far
# more addresses than it uses.
_DATA_BYTES = 400 * 1024 * 1024
# No token or key of this process is any business of a program that reads strangers' files, and
# NODE_OPTIONS could change what it does.
_PASSED = (
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
_STDERR_KEPT = 2000
_CHUNK = 65536
_running: set[subprocess.Popen[bytes]] = set()


class NodeError(Exception):
    """Node cannot be run, took too long, or wrote too much."""


@dataclass(frozen=True)
class Ended:
    """A Node process that ended: its exit status, its output, and the tail of its stderr."""

    status: int
    output: bytes
    errors: str


def version() -> str:
    """Return Node's version, such as "v18.20.4"; raises NodeError."""
    ended = _communicate([_node(), "--version"], b"", timeout=10, max_output=100)
    text = ended.output.decode("ascii", "replace").strip()
    if ended.status != 0 or not text.startswith("v"):
        raise NodeError(f"node --version ended with {ended.status}: {ended.errors or text}")
    return text


def run(script: Path, request: bytes, *, timeout: float, max_output: int) -> Ended:
    """Run `script` with `request` on its stdin.

    Args:
        script: the program's main file.
        request: what it reads.
        timeout: seconds until it is killed.
        max_output: bytes of stdout until it is killed.

    Raises:
        NodeError: Node is not there, or it was killed for a bound.
    """
    command = [_node(), *_HEAP, str(script)]
    return _communicate(command, request, timeout=timeout, max_output=max_output)


def end() -> None:
    """Kill every Node that runs for this process, from whatever thread; its `run` ends at once."""
    for process in tuple(_running):
        _kill(process)


def _node() -> str:
    if (path := shutil.which("node")) is None:
        raise NodeError("node is not on the PATH")
    return path


def _communicate(command: list[str], request: bytes, *, timeout: float, max_output: int) -> Ended:
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
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
        raise NodeError(f"node cannot be run: {error.strerror}") from error
    with process:
        _running.add(process)
        try:
            _bound_memory(process.pid)
            return _exchange(process, request, time.monotonic() + timeout, max_output)
        finally:
            _kill(process)
            _running.discard(process)


def _bound_memory(pid: int) -> None:
    # It has ended at once, and its status says why; or a stricter bound was there.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with all of its group, unless it has ended and been waited for."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            os.killpg(process.pid, signal.SIGKILL)


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, deadline: float, max_output: int
) -> Ended:
    """Write the request, read both outputs to their ends, wait; raises NodeError at a bound."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise NodeError("node was started without its pipes")
    _send(process.stdin, request)
    output, errors = bytearray(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise NodeError("node took too long and was killed")
            for key, _ in ready:
                part = os.read(key.fd, _CHUNK)
                if not part:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    output += part
                else:
                    errors = (errors + part)[-_STDERR_KEPT:]
            if len(output) > max_output:
                raise NodeError(f"node wrote more than {max_output} bytes and was killed")
    try:
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise NodeError("node did not end and was killed") from None
    return Ended(status, bytes(output), errors.decode("utf-8", "replace").strip())


def _send(stdin: IO[bytes], request: bytes) -> None:
    """Write all of the request: at most a few kB, which the pipe holds, so it cannot block."""
    if len(request) > _CHUNK:
        raise NodeError(f"the request is longer than {_CHUNK} bytes")
    try:
        stdin.write(request)
        stdin.close()
    except BrokenPipeError:
        pass  # it ended before it read; its status and stderr say why
