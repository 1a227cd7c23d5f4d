"""Tests of signal handling: one signal interrupts, the cleanup completes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imageproof import signals
from imageproof.signals import HANDLED_SIGNALS, Interruption
from tests.support.sample_facts import ROOT


@pytest.fixture(autouse=True)
def _fresh_handlers(monkeypatch) -> Iterator[None]:
    """No signal received, and the default handlers."""
    before = {number: signal.getsignal(number) for number in HANDLED_SIGNALS}
    monkeypatch.setattr(signals, "_received", [])
    for number in HANDLED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", HANDLED_SIGNALS)
def test_signal_raises_interruption_with_the_exit_status_of_shells(number):
    signals.install_handlers()
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert isinstance(caught.value, Interruption)
    assert caught.value.status == 128 + number


def test_ignored_signal_stays_ignored():
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install_handlers()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_only_ctrl_c_interrupts_the_cleanup():
    signals.install_handlers()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(Interruption) as second:
        signal.raise_signal(signal.SIGINT)
    assert second.value.status == 130


def test_programs_of_the_cleanup_do_not_ignore_signals():
    """A child process inherits SIG_IGN."""
    signals.install_handlers()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    code = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    command = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "True\n"


def test_pause_in_another_thread_is_interrupted_each_time():
    """A signal handler runs in the main thread only."""
    signals.install_handlers()
    signals.pause(0)
    statuses: list[int] = []

    def wait() -> None:
        for _ in range(2):
            try:
                while True:
                    signals.pause(0.01)
            except Interruption as interruption:
                statuses.append(interruption.status)

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    thread.join(timeout=30)
    assert statuses == [143, 143]


def test_signals_of_a_deferring_block_are_raised_at_its_end():
    signals.install_handlers()
    done = []

    def defer() -> None:
        with signals.deferring():
            signal.raise_signal(signal.SIGTERM)
            with signals.deferring():
                signal.raise_signal(signal.SIGINT)
            done.append(signals.is_deferring())

    with pytest.raises(Interruption) as caught:
        defer()
    assert caught.value.status == 143
    assert done == [True]
    assert not signals.is_deferring()


CLEANS_UP = """
import pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from imageproof import console, signals
signals.install_handlers()
try:
    console.say("started")
    signal.pause()
except KeyboardInterrupt:
    console.say("cleaning up")
    pathlib.Path(sys.argv[2]).touch()
"""


def test_closed_terminal_does_not_end_the_cleanup(tmp_path: Path):
    """Printing to it raises an error."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", CLEANS_UP, ROOT, tmp_path / "cleaned"])
    assert b"started" in os.read(terminal, 1000)
    os.close(terminal)
    os.waitpid(process, 0)
    assert (tmp_path / "cleaned").exists()


# --- a program that cleans up by itself

# Both programs send SIGINT to their parent, which passes it on to them. Then the first cleans up
# and ends; the second stays, and sends SIGINT to its parent again.
CLEANS_UP_AND_ENDS = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: (open(sys.argv[1], "w").close(), sys.exit()))
os.kill(os.getppid(), signal.SIGINT)
while True: signal.pause()
"""
STAYS = """
import os, signal
signal.signal(signal.SIGINT, lambda *_: os.kill(os.getppid(), signal.SIGINT))
os.kill(os.getppid(), signal.SIGINT)
while True: signal.pause()
"""


def _run(program: str, *arguments: str) -> None:
    signals.install_handlers()
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    with pytest.raises(Interruption):
        signals.run(command, ROOT, os.environ)


def test_program_receives_sigint_and_is_waited_for(tmp_path: Path):
    _run(CLEANS_UP_AND_ENDS, str(tmp_path / "cleaned"))
    assert (tmp_path / "cleaned").exists()


@pytest.mark.timeout(60)
def test_second_ctrl_c_kills_the_program():
    _run(STAYS)
