"""The API as a process on a free port, and raw requests to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.config import ApiSettings, WorkerSettings

ROOT = Path(__file__).parents[2]
TOKEN = "hush-5f3a-hush-5f3a"
MAX_WAIT_SECONDS = 30
# The real entry point on a free port; the constants of modules may be set before.
ON_FREE_PORT = """
import app.serve, app.__main__, app.protocol
app.serve.PORT = 0
{setup}
app.__main__.main()
"""


def with_store(url: str) -> str:
    """Return a statement for `setup` that makes the API use a store on a Unix socket."""
    return f"connect = app.serve.connect; app.serve.connect = lambda _: connect({url!r})"


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with only these variables of the settings."""
    settings = {*ApiSettings.variables(), *WorkerSettings.variables()}
    return {k: v for k, v in os.environ.items() if k not in settings} | variables


@dataclass
class ApiProcess:
    """A running API."""

    process: subprocess.Popen[str]
    port: int
    lines: list[dict[str, Any]] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """Return a new connection. Reading from it fails after `MAX_WAIT_SECONDS`."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=MAX_WAIT_SECONDS)

    def exchange(self, *parts: bytes, finish: bool = False) -> bytes:
        """Send the parts, and return all bytes until the API closes the connection.

        Args:
            parts: what to send.
            finish: close this side after the last part.
        """
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # the API may close it before the last part
                for part in parts:
                    connection.sendall(part)
                if finish:
                    connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def finished_log(self) -> list[dict[str, Any]]:
        """Return all lines of the log, once the process has ended."""
        assert self.reader is not None
        self.reader.join(MAX_WAIT_SECONDS)
        return self.lines

    def errors(self) -> str:
        """Return what the ended process wrote to standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


def read_all(connection: socket.socket) -> bytes:
    """Return all bytes until the API closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def read_response(connection: socket.socket) -> bytes:
    """Return one response with Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, f"the connection was closed after {received!r}"
        received += part
    header, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", header)
    assert length, header
    while len(body) < int(length[1]):
        part = connection.recv(65536)
        assert part, f"the connection was closed within a body: {body!r}"
        body += part
    return header + b"\r\n\r\n" + body


@contextlib.contextmanager
def running(setup: str = "pass", **variables: str) -> Iterator[ApiProcess]:
    """Start the API on a free port with a token; `setup` is a statement that runs before."""
    with subprocess.Popen(
        [sys.executable, "-c", ON_FREE_PORT.format(setup=setup)],
        cwd=ROOT,
        env=environment(**{"API_TOKEN": TOKEN, **variables}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        api = ApiProcess(process, 0)
        try:
            assert process.stdout is not None
            while not api.port and (line := process.stdout.readline()):
                api.lines.append(json.loads(line))
                if port := re.search(r"running on .*:(\d+)", api.lines[-1]["message"]):
                    api.port = int(port[1])
            assert api.port, api.lines
            api.reader = threading.Thread(target=_read_log, args=(api,), daemon=True)
            api.reader.start()
            yield api
        finally:
            process.kill()


def _read_log(api: ApiProcess) -> None:
    """Read the log, so that the process does not wait for space in the pipe."""
    assert api.process.stdout is not None
    for line in api.process.stdout:
        api.lines.append(json.loads(line))
