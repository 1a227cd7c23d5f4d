"""Whoever ends a command, a person by Ctrl-C or a CI service by SIGTERM: what the command began is
cleared away first."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from imageproof import console

# SIGHUP is a terminal that was closed; nohup has it ignored, and so it stays.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_asked: list[int] = []  # the signals so far


class Interruption(KeyboardInterrupt):
    """A signal, as Python raises SIGINT: no `except Exception` takes it for a failure.

    Attributes:
        status: the exit status, 128 and the signal's number, as shells report it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def install_handlers() -> None:
    """Raise an Interruption in the main thread at the first such signal that is not ignored.

    Afterwards Ctrl-C alone interrupts what is cleared away: a CI service sends one signal after the
    other, a person asks twice.
    """
    heeded = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]

    def end(number: int, _: FrameType | None) -> None:
        _asked.append(number)
        if number == signal.SIGHUP:
            console.leave_terminal()  # else the first word about clearing away would end it
        for other in heeded:
            if other != signal.SIGINT:
                # not SIG_IGN, which the programs that clear away would inherit
                signal.signal(other, lambda *_: None)
        raise Interruption(number)

    for number in heeded:
        signal.signal(number, end)


def pause(seconds: float) -> None:
    """Sleep, in whatever thread, while others do what is waited for: a second or two at most, since
    only then it is seen that a signal asked for the end. Raises Interruption."""
    if not _asked:
        time.sleep(seconds)
    if _asked:
        raise Interruption(_asked[0])


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run a program that clears away by itself what it began; its exit status.

    Interrupted, this waits until it has done so; asked twice, it does not. The program has a
    session of its own, so that a terminal's Ctrl-C does not reach it, and what it started, once
    more than they are told here: the second one would interrupt the clearing.
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
