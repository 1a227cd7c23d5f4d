"""Signal handling: on SIGINT, SIGTERM or SIGHUP, clean up, then exit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from imageproof import console

# SIGHUP: the terminal was closed.
HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []  # signals, for `pause` in other threads than the main one
_deferred: list[list[int]] = []  # for the present `deferring` block: signals that wait for its end


class Interruption(KeyboardInterrupt):
    """A received signal. Like KeyboardInterrupt, it passes through `except Exception`.

    Attributes:
        status: exit status, 128 plus the signal's number, as shells report it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def install_handlers() -> None:
    """Make the first signal raise Interruption in the main thread.

    Afterwards only Ctrl-C interrupts the cleanup: a CI service sends several signals in a row,
    but a user who presses Ctrl-C twice does not want to wait. A signal that is ignored, as SIGHUP
    is under nohup, stays ignored.
    """
    handled = [
        number for number in HANDLED_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def interrupt(number: int, _: FrameType | None) -> None:
        _received.append(number)
        if number == signal.SIGHUP:
            console.discard_closed_terminal()  # else the first line that the cleanup prints ends it
        for other in handled:
            if other != signal.SIGINT:
                # Not SIG_IGN: the programs that the cleanup starts would inherit it.
                signal.signal(other, lambda *_: None)
        if not _deferred:
            raise Interruption(number)
        _deferred[0].append(number)
        console.say("  interrupted; this step ends first")

    for number in handled:
        signal.signal(number, interrupt)


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """Raise Interruption for a signal at the end of the block only.

    For a short step that must not end half-way, such as the removal of a container.
    """
    if _deferred:  # the outer block raises it
        yield
        return
    signals: list[int] = []
    _deferred.append(signals)
    try:
        yield
    finally:
        _deferred.clear()
        if signals:
            raise Interruption(signals[0])


def is_deferring() -> bool:
    """Return whether a `deferring` block runs: its programs must not get a terminal's Ctrl-C."""
    return bool(_deferred)


def pause(seconds: float) -> None:
    """Sleep, in any thread; raise Interruption if a signal was received.

    Threads other than the main one notice a signal only before and after the pause, so keep it
    below two seconds.
    """
    if not _received:
        time.sleep(seconds)
    if _received:
        raise Interruption(_received[0])


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run a program that cleans up by itself on SIGINT, and return its exit status.

    On the first signal, send it SIGINT and wait for its end; on the second, kill it. The program
    runs in a session of its own: otherwise a terminal's Ctrl-C would reach it a second time.
    """
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as program:
        try:
            return program.wait()
        except KeyboardInterrupt:
            os.killpg(program.pid, signal.SIGINT)
            program.wait()
            raise
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
