"""Output of long-running docker commands, as lines or as chunks of bytes."""

from __future__ import annotations

import collections
import os
import selectors
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO

from imageproof.docker.errors import client_missing, translate
from imageproof.errors import MAX_TAIL_LINES, ImageproofError

CHUNK_BYTES = 1 << 18


def stream_lines(
    command: Sequence[str],
    action: str,
    folder: Path,
    environment: Mapping[str, str],
    failure: type[ImageproofError],
) -> Generator[str, None, None]:
    """Run a command, and yield the lines of its output and errors as they come.

    Closing the generator ends the command.

    Args:
        command: the command with `docker`.
        action: what is being done, for error messages.
        folder: the command's working folder.
        environment: variables beside this process's.
        failure: error class for a command that fails; the yielded lines say why.

    Raises:
        EngineUnavailable: there is no docker program.
        ImageproofError: `failure`, after the last line.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise client_missing(action) from error
    with process:
        assert process.stdout is not None
        try:
            yield from process.stdout
        except BaseException:  # the reader stopped early, or a signal arrived
            process.terminate()
            raise
        if status := process.wait():
            raise failure(action, f"the docker command ended with status {status}")


def follow_lines(
    command: Sequence[str],
    action: str,
    environment: Mapping[str, str],
    idle_seconds: float | None = None,
) -> Generator[str | None, None, None]:
    """Run a command, and yield the lines of its output and errors as they come.

    Closing the generator ends the command.

    Args:
        command: the command with `docker`.
        action: what is being done, for error messages.
        environment: variables beside this process's.
        idle_seconds: if set, yield None whenever no line came for this time.

    Raises:
        EngineUnavailable: there is no docker program.
        ImageproofError: the command failed; its last lines say why.
    """
    last_lines = collections.deque[str](maxlen=MAX_TAIL_LINES)
    with _start(command, action, subprocess.STDOUT, environment) as process:
        try:
            for line in _read_lines(process, idle_seconds):
                if line is not None:
                    last_lines.append(line)
                yield line
        except BaseException:  # the reader stopped early, or a signal arrived
            process.terminate()
            raise
        if process.wait() != 0:
            raise translate(action, "".join(last_lines))


def _read_lines(
    process: subprocess.Popen[bytes], idle_seconds: float | None
) -> Generator[str | None, None, None]:
    """Yield the lines of a process's output; None whenever none came for `idle_seconds`."""
    assert process.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(idle_seconds):
                yield None
                continue
            chunk = process.stdout.read(CHUNK_BYTES)
            *lines, pending = (pending + chunk).split(b"\n")
            yield from (line.decode(errors="replace") + "\n" for line in lines)
            if not chunk:
                break
    if pending:
        yield pending.decode(errors="replace")


def read_chunks(command: Sequence[str], action: str) -> Generator[bytes, None, None]:
    """Run a command, and yield its output in chunks of at most CHUNK_BYTES.

    Args:
        command: the command with `docker`.
        action: what is being done, for error messages.

    Raises:
        EngineUnavailable: there is no docker program.
        ImageproofError: the command failed; raised after the last chunk.
    """
    # Errors go to a file: a pipe that no one reads until the end could fill up.
    with tempfile.TemporaryFile() as errors, _start(command, action, errors) as process:
        assert process.stdout is not None
        try:
            while chunk := process.stdout.read(CHUNK_BYTES):
                yield chunk
        except BaseException:  # the reader stopped early, or a signal arrived
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            raise translate(action, errors.read().decode(errors="replace"))


def _start(
    command: Sequence[str],
    action: str,
    errors: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    variables = {**os.environ, **(environment or {})}
    try:
        return subprocess.Popen(
            command, bufsize=0, stdout=subprocess.PIPE, stderr=errors, env=variables
        )
    except FileNotFoundError as error:
        raise client_missing(action) from error
