"""A real Redis for the tests of the store: on a socket of its own, with no port and no file."""

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

PROGRAMS = ("redis-server", "redis-check-rdb")  # one program, that looks at its name
STARTS_SECONDS = 10


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Its address, while it runs."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "the store's tests need redis-server: `./inv provision` installs redis-tools"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own names are too long for a socket
        socket = Path(folder, "s")
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen(
            ["redis-server", *options], executable=program, stdout=subprocess.DEVNULL
        )
        try:
            url = f"unix://{socket}"
            _wait(url, process)
            yield url
        finally:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_SECONDS
    client = connect(url)
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert process.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)
        else:
            return
