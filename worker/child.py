"""Child processes of a job, with limits on time, memory, output and environment.

Whatever reads untrusted data runs in such a process: it can be killed at any moment.
"""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

# The children read untrusted data, so they get no token, no key and no NODE_OPTIONS.
_ALLOWED_VARIABLES = (
    "PATH",
    "TMPDIR",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
EXIT_OUT_OF_MEMORY = 71
"""Exit status of a child that ran out of memory and noticed it itself."""
_MAX_STDERR_BYTES = 2000
_PIPE_BYTES = 65536  # Linux' default size of a pipe's buffer
_CODE_FOLDER = Path(__file__).parents[1]


class Cancelled(BaseException):
    """The job was cancelled. No `except Exception` catches it, so the whole job ends."""


class ChildError(Exception):
    """A child process could not start, or was killed at a limit."""

    def __init__(self, limit: Literal["start", "time", "output"], message: str) -> None:
        super().__init__(message)
        self.limit = limit


@dataclass(frozen=True)
class Bounds:
    """Limits of a child process."""

    seconds: float  # wall clock
    data_bytes: int  # all memory that the process can write to, its threads' stacks included
    output_bytes: int


@dataclass(frozen=True)
class ChildResult:
    """Result of a child process; a negative exit status is the signal that ended it."""

    exit_status: int
    stdout: bytes
    stderr_end: str


class Children:
    """Child processes of one job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def run(self, command: list[str], request: bytes, bounds: Bounds) -> ChildResult:
        """Run a command with `request` as its stdin.

        Raises:
            Cancelled: the job was cancelled, now or before.
            ChildError: the command did not start, or was killed at a limit.
        """
        with self.start(command, bounds) as child:
            return child.answer(request)

    @contextlib.contextmanager
    def start(self, command: list[str], bounds: Bounds) -> Iterator["Child"]:
        """Start a command that waits for its request; at the end of the context, kill it.

        Raises:
            Cancelled: the job was cancelled.
            ChildError: the command did not start.
        """
        with self._start(command) as process:
            try:
                _limit(process.pid, bounds)
                yield Child(process, bounds, self.raise_if_cancelled)
            finally:
                _kill(process)
                with self._lock:
                    self._running.discard(process)

    def cancel(self) -> None:
        """Kill all processes; each call raises Cancelled from now on. Thread-safe."""
        with self._lock:
            self._cancelled = True
            for process in self._running:
                _kill(process)

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled if the job was cancelled."""
        if self._cancelled:
            raise Cancelled

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._lock:  # else a process could start after `cancel`
            self.raise_if_cancelled()
            try:
                process = subprocess.Popen(
                    command,
                    cwd=_CODE_FOLDER,
                    env=_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                message = f"{Path(command[0]).name} cannot be started: {error.strerror}"
                raise ChildError("start", message) from error
            self._running.add(process)
            return process


@dataclass(frozen=True)
class Child:
    """A started process."""

    process: subprocess.Popen[bytes]
    bounds: Bounds
    raise_if_cancelled: Callable[[], None]

    def answer(self, request: bytes) -> ChildResult:
        """Write the request to stdin and return the result. Its time starts now.

        Raises:
            Cancelled: the job was cancelled.
            ChildError: the process was killed at a limit.
        """
        deadline = time.monotonic() + self.bounds.seconds
        try:
            result = _exchange(self.process, request, deadline, self.bounds)
        except ChildError:
            self.raise_if_cancelled()
            raise
        self.raise_if_cancelled()  # its answer may be cut
        return result


def python_command(module: str) -> list[str]:
    """Return the command that runs a module of this program in another Python process."""
    return [sys.executable, "-B", "-s", "-m", module]


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _ALLOWED_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, **environment}


def _limit(pid: int, bounds: Bounds) -> None:
    """Limit memory and CPU time: the kernel ends a busy process even if the worker is killed."""
    if not hasattr(resource, "prlimit"):  # not Linux: a developer's machine
        return
    # Twice the time, because several threads may run at once.
    cpu_seconds = max(1, int(2 * bounds.seconds))
    # These errors mean that the process has already ended, or has a stricter limit.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # RLIMIT_AS does not fit, because V8 reserves far more address space than it uses.
        resource.prlimit(pid, resource.RLIMIT_DATA, (bounds.data_bytes, bounds.data_bytes))
        # The soft limit sends SIGXCPU, which gives the reason; the hard one SIGKILL.
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, unless it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, deadline: float, bounds: Bounds
) -> ChildResult:
    """Write the request, read stdout and stderr, wait; raise ChildError at a limit."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ChildError("start", "the process was started without pipes")
    stdout, stderr_end = _communicate(
        process.stdin, process.stdout, process.stderr, request, deadline, bounds
    )
    try:
        exit_status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ChildError("time", _out_of_time(bounds)) from None
    return ChildResult(exit_status, stdout, stderr_end.decode("utf-8", "replace").strip())


def _communicate(
    stdin: IO[bytes],
    stdout: IO[bytes],
    stderr: IO[bytes],
    request: bytes,
    deadline: float,
    bounds: Bounds,
) -> tuple[bytes, bytes]:
    """Write all of the request, and read to both ends; return stdout and the end of stderr."""
    output, errors, pending = bytearray(), b"", memoryview(request)
    os.set_blocking(stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stdout, selectors.EVENT_READ)
        selector.register(stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                raise ChildError("time", _out_of_time(bounds))
            for key, _ in ready:
                if key.fileobj is stdin:
                    pending = _write(stdin, pending)
                    if not pending:
                        selector.unregister(stdin)
                        stdin.close()
                    continue
                chunk = os.read(key.fd, _PIPE_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is stdout:
                    output += chunk
                else:
                    errors = (errors + chunk)[-_MAX_STDERR_BYTES:]
            if len(output) > bounds.output_bytes:
                message = f"it wrote more than {bounds.output_bytes} bytes and was killed"
                raise ChildError("output", message)
    return bytes(output), errors


def _write(stdin: IO[bytes], pending: memoryview) -> memoryview:
    """Write what fits into the pipe, and return the rest."""
    try:
        return pending[os.write(stdin.fileno(), pending[:_PIPE_BYTES]) :]
    except BrokenPipeError:  # the process ended early; its status and stderr say why
        return pending[:0]


def _out_of_time(bounds: Bounds) -> str:
    return f"it took more than {bounds.seconds:g} s and was killed"
