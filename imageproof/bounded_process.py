"""Programs that run under limits: seconds, memory and output."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_OUTPUT_BYTES = 1 << 26  # of standard output and of standard error
# The shell sets the limits between fork and exec: Python code there is not safe beside threads.
# `ulimit -d` counts KiB, `ulimit -f` blocks of 512 bytes (POSIX). Its errors are ignored: a system
# may lack a limit, or its own may be lower.
_LIMITED = 'ulimit -d "$1"; ulimit -f "$2"; shift 2; exec "$@" 2>&3 3>&-'


@dataclass(frozen=True)
class Ended:
    """A program that has ended; its output is cut at MAX_OUTPUT_BYTES.

    `status`: its exit status, negative for a signal; None if it ran out of time.
    """

    status: int | None
    output: str
    messages: str


def run_bounded(
    command: Sequence[str],
    *,
    seconds: float,
    memory_bytes: int,
    environment: Mapping[str, str],
    folder: Path | None = None,
    stdin: str = "",
) -> Ended:
    """Run a program and wait until it ends; at the end, kill all processes that it started.

    Args:
        command: the program and its arguments.
        seconds: the time after which it is killed.
        memory_bytes: the memory that a process of it may allocate (Linux: RLIMIT_DATA).
        environment: its environment.
        folder: its working folder.
        stdin: its standard input.

    Raises:
        FileNotFoundError: there is no such program.
    """
    if not shutil.which(command[0], path=environment.get("PATH")):
        raise FileNotFoundError(command[0])
    limits = (str(memory_bytes >> 10), str(MAX_OUTPUT_BYTES >> 9))
    # Files, not pipes: a process that was left behind would hold a pipe open.
    with _input(stdin) as source, _file() as output, _file() as messages:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec 3>&2 2>/dev/null; {_LIMITED}", "sh", *limits, *command],
            stdin=source,
            stdout=output,
            stderr=messages,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _kill_session(process)
        return Ended(status, _text(output), _text(messages))


def _input(text: str) -> IO[bytes]:
    file = _file()
    file.write(text.encode())
    file.seek(0)
    return file


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES).decode(errors="replace")


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a zombie
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
