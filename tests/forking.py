"""Python programs of this project as processes of their own, without the imports of each: they are
forked from a process that has imported what they import, which takes most of a start.

This file is both sides: the tests', and the program that forks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

ROOT = Path(__file__).parents[1]
MESSAGE = 1 << 18


class Forked:
    """A process that was forked; named as subprocess.Popen names it."""

    def __init__(self, channel: socket.socket, out: TextIO, errors: TextIO) -> None:
        self._channel = channel
        self.stdout, self.stderr = out, errors
        self.pid = int(channel.recv(MESSAGE))
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """As long as it was not waited for."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status."""
        if self.returncode is None:
            self.returncode = int(self._channel.recv(MESSAGE))
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """The rest of both outputs, when it has ended."""
        out, errors = self.stdout.read(), self.stderr.read()  # neither fills a pipe
        self.wait()
        return out, errors


class Forking:
    """A process that has imported, and forks one program at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    @contextmanager
    def start(
        self, *arguments: str, env: Mapping[str, str], cwd: str | Path = ROOT
    ) -> Iterator[Forked]:
        """`python` with these arguments: -m module, -c text or a file; killed at the end."""
        (out, out_end), (errors, errors_end) = os.pipe(), os.pipe()
        with os.fdopen(out) as stdout, os.fdopen(errors) as stderr:
            self._order(arguments, env, cwd, out_end, errors_end)
            os.close(out_end)
            os.close(errors_end)
            with self._process(stdout, stderr) as process:
                yield process

    def run(
        self, *arguments: str, env: Mapping[str, str], cwd: str | Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """The same to its end, however much it writes."""
        with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
            self._order(arguments, env, cwd, stdout.fileno(), stderr.fileno())
            with self._process(stdout, stderr) as process:
                status = process.wait()
            for file in (stdout, stderr):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, status, stdout.read(), stderr.read())

    def _order(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: str | Path, *ends: int
    ) -> None:
        order = {"arguments": arguments, "environment": dict(env), "folder": str(cwd)}
        socket.send_fds(self._channel, [json.dumps(order).encode()], ends)

    @contextmanager
    def _process(self, out: TextIO, errors: TextIO) -> Iterator[Forked]:
        process = Forked(self._channel, out, errors)
        try:
            yield process
        except KeyboardInterrupt:  # it clears away what it began
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def forking(*modules: str) -> Iterator[Forking]:
    """One that has imported these modules, until the end."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        number = there.fileno()
        with subprocess.Popen(
            [sys.executable, __file__, str(number), *modules],
            cwd=ROOT,
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ):
            there.close()
            try:
                yield Forking(here)
            finally:
                here.close()  # and so it ends


def serve(channel: socket.socket) -> list[str]:
    """Fork as often as asked; returns in a process that was forked, with the arguments of Python's
    that it is to run by. Ctrl-C is for those: this one ends when nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        order, ends, _, _ = socket.recv_fds(channel, MESSAGE, 2)
        if not order:
            sys.exit()
        process = os.fork()
        if process == 0:
            break
        for end in ends:
            os.close(end)
        channel.send(str(process).encode())
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        channel.send(str(status).encode())
    channel.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, end in enumerate(ends, start=1):
        os.dup2(end, number)
        os.close(end)
    asked = json.loads(order)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    return list(asked["arguments"])


def become(arguments: list[str]) -> None:
    """Run what `python` would run with these arguments."""
    first, *others = arguments
    if first == "-m":
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *others[1:]]
        exec(others[0], {"__name__": "__main__"})
    else:
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # else each process looks through what was imported when it ends
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
