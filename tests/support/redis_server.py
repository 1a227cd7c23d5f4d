"""Real Redis server on a Unix socket, without a port or a file."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from app.store import connect

PROGRAMS = ("redis-server", "redis-check-rdb")  # one program: argv[0] selects what it does
MAX_START_SECONDS = 10


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run a server, and yield its URL."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "redis-server is not installed: `./inv provision` installs redis-tools"
    with tempfile.TemporaryDirectory() as folder:  # pytest's paths are too long for a socket
        socket = Path(folder, "s")
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen(
            ["redis-server", *options], executable=program, stdout=subprocess.DEVNULL
        )
        try:
            url = f"unix://{socket}"
            _wait_until_ready(url, process)
            yield url
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + MAX_START_SECONDS
    client = connect(url)
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert process.poll() is None, "redis-server exited"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)
        else:
            return
