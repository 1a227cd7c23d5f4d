"""imageproof.signals: which signals end a command, once, and who notices."""

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
from imageproof.signals import ENDING, Interruption
from tests.support.sample_facts import ROOT


@pytest.fixture(autouse=True)
def _as_a_command_begins(monkeypatch) -> Iterator[None]:
    """No signal so far, and what each does is Python's own."""
    before = {number: signal.getsignal(number) for number in ENDING}
    monkeypatch.setattr(signals, "_asked", [])
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_interrupts_as_ctrl_c_does_with_the_status_that_shells_report(number):
    signals.install_handlers()
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert isinstance(caught.value, Interruption)
    assert caught.value.status == 128 + number


def test_what_was_ignored_stays_so():
    """As with nohup, or in a shell's background."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.install_handlers()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_is_cleared_away_is_interrupted_by_a_person_alone():
    signals.install_handlers()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(Interruption) as again:
        signal.raise_signal(signal.SIGINT)
    assert again.value.status == 130


def test_programs_that_clear_away_can_be_ended():
    """What is ignored is so in each program that is started."""
    signals.install_handlers()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    code = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    started = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(started, capture_output=True, text=True).stdout == "True\n"


def test_whoever_waits_in_another_thread_is_interrupted_as_well():
    """Where the signal itself never arrives; each time, so that nothing more is begun there."""
    signals.install_handlers()
    signals.pause(0)
    seen: list[int] = []

    def wait() -> None:
        for _ in range(2):
            try:
                while True:
                    signals.pause(0.01)
            except Interruption as asked:
                seen.append(asked.status)

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(Interruption):
        signal.raise_signal(signal.SIGTERM)
    waiting.join(timeout=30)
    assert seen == [143, 143]


CLEARS = """
import pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from imageproof import console, signals
signals.install_handlers()
console.say("begun")
try:
    signal.pause()
except KeyboardInterrupt:
    console.say("clearing")
    pathlib.Path(sys.argv[2]).touch()
"""


def test_a_terminal_that_was_closed_does_not_end_the_clearing(tmp_path: Path):
    """Each line that is printed there is an error."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", CLEARS, ROOT, tmp_path / "cleared"])
    assert b"begun" in os.read(terminal, 1000)
    os.close(terminal)
    os.waitpid(process, 0)
    assert (tmp_path / "cleared").exists()


# --- a program that clears away by itself

# Both interrupt whoever runs them; told in turn, the first clears away, the second asks again.
ENDS = """
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


def test_an_interrupted_program_is_told_and_waited_for(tmp_path: Path):
    _run(ENDS, str(tmp_path / "cleared"))
    assert (tmp_path / "cleared").exists()


@pytest.mark.timeout(60)
def test_whoever_asks_twice_does_not_wait():
    _run(STAYS)
