"""Real Redis server on a Unix socket, without a port; its files are in a temporary folder."""

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
def running(*options: str, config: Path | None = None) -> Iterator[str]:
    """Run a server, and yield its URL.

    Args:
        options: further options, which replace those of the file.
        config: configuration file.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "redis-server is not installed: `./inv provision` installs redis-tools"
    with tempfile.TemporaryDirectory() as folder:  # pytest's paths are too long for a socket
        socket = Path(folder, "s")
        own = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        command = ["redis-server", *own, *options]
        if config:  # a copy, because Redis enters the file's folder when it reads that line
            copy = Path(folder, "redis.conf")
            copy.write_text(config.read_text().replace("dir /data", f"dir {folder}"))
            command.insert(1, str(copy))
        process = subprocess.Popen(command, executable=program, stdout=subprocess.DEVNULL)
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
