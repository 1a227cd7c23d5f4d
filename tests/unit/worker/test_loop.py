"""The loop: it beats each turn, survives what fails, and ends when asked."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.log import request_id
from app.store import StoreError
from worker.heartbeat import BOUND_SECONDS, PERIOD_SECONDS, Heartbeat
from worker.loop import Loop
from worker.queue import Job
from worker.stop import StopSignal

JOB_LIMIT = 60.0


def job(name: str) -> Job:
    """Return a job that differs from others by its id."""
    return Job(name, "left-pad", "1.2.0", "1.3.0", 1, f"request-{name}", "0-1", "lease")


class Beats(Heartbeat):
    """Records for how long each beat was good, in place of writing it."""

    def __init__(self) -> None:
        """Start with no beat."""
        super().__init__(Path("/nowhere"))
        object.__setattr__(self, "seen", [])

    seen: list[float]

    def beat(self, within: float) -> None:
        """Record."""
        self.seen.append(within)


@dataclass
class Script:
    """A queue that gives what it was made with, raises what is an error, then asks to stop."""

    stop: StopSignal
    steps: deque[Job | Exception | None]
    done: list[str] = field(default_factory=list)

    def take(self) -> Job | None:
        """Return or raise the next step."""
        step = self.steps.popleft()
        if not self.steps:
            self.stop.request()
        if isinstance(step, Exception):
            raise step
        return step

    def work(self, job: Job) -> None:
        """Do a job; the one that is called bad breaks."""
        if job.id == "bad":
            raise ValueError("a defect")
        self.done.append(job.id)


class Empty:
    """A queue in which nothing waits."""

    def take(self) -> Job | None:
        """Nothing."""
        return None


def _run(steps: Iterable[Job | Exception | None]) -> tuple[Script, Beats]:
    stop, beats = StopSignal(), Beats()
    queue = Script(stop, deque(steps))
    Loop(queue, queue.work, JOB_LIMIT, beats, 0.001, stop).run()
    return queue, beats


def test_it_beats_at_each_turn() -> None:
    """Idle turns included: that is what tells waiting from hanging."""
    _, beats = _run([None, None, None])
    assert beats.seen == [BOUND_SECONDS] * 3


class Waits(StopSignal):
    """Records each wait, in place of waiting; asks to stop at the last."""

    def __init__(self, last: int) -> None:
        """Ask to stop when waited for the `last` time."""
        super().__init__()
        self.last, self.seen = last, list[float]()

    def wait(self, seconds: float) -> bool:
        """Record."""
        self.seen.append(seconds)
        if len(self.seen) == self.last:
            self.request()
        return self.requested


def test_it_beats_while_it_waits_however_long_the_poll_interval_is() -> None:
    """Else a stall would be noticed later, the seldomer an idle worker looks at the queue."""
    stop, beats = Waits(last=4), Beats()
    Loop(Empty(), lambda _: None, JOB_LIMIT, beats, 2.5 * PERIOD_SECONDS, stop).run()
    assert stop.seen == [PERIOD_SECONDS, PERIOD_SECONDS, PERIOD_SECONDS / 2, PERIOD_SECONDS]
    # a turn, two beats while waiting; a turn, and asked to stop in its first wait
    assert beats.seen == [BOUND_SECONDS] * 4


def test_the_beat_before_a_job_covers_the_job() -> None:
    """Else a long job would look like a stall."""
    _, beats = _run([job("a"), None])
    assert beats.seen == [BOUND_SECONDS, JOB_LIMIT + BOUND_SECONDS, BOUND_SECONDS]


def test_a_job_that_breaks_is_logged_and_does_not_stop_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next one is done."""
    queue, _ = _run([job("bad"), job("good"), None])
    assert queue.done == ["good"]
    assert "job broke" in caplog.messages


def test_a_queue_that_is_away_does_not_stop_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """It looks again; the text of the error, which may hold a password, is not logged."""
    queue, beats = _run([StoreError("hush"), job("good"), None])
    assert queue.done == ["good"]
    assert "queue does not answer" in caplog.messages
    assert "hush" not in caplog.text
    assert len(beats.seen) == 4


def test_the_log_names_the_request_that_asked_for_the_job_and_no_longer() -> None:
    """One request is followed from the API's log into the worker's."""
    stop, seen = StopSignal(), list[str]()
    queue = Script(stop, deque([job("bad"), None]))

    def work(job: Job) -> None:
        seen.append(request_id.get())
        queue.work(job)

    Loop(queue, work, JOB_LIMIT, Beats(), 0.001, stop).run()
    assert seen == ["request-bad"]
    assert request_id.get() == ""


def test_a_heartbeat_that_cannot_be_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The work goes on; the probe sees the missing beat."""
    stop = StopSignal()
    queue = Script(stop, deque([job("a"), None]))
    heartbeat = Heartbeat(tmp_path / "absent" / "heartbeat")
    Loop(queue, queue.work, JOB_LIMIT, heartbeat, 0.001, stop).run()
    assert queue.done == ["a"]
    assert "heartbeat not written" in caplog.messages


def test_a_stop_ends_a_long_wait_at_once() -> None:
    """The hour of the interval is not waited for (the suite's time limit would tell)."""
    stop = StopSignal()

    # not SIGALRM: the suite's own time limit needs it
    previous = signal.signal(signal.SIGUSR1, lambda _signal, _frame: stop.request())
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))

    class StopsWhileWaiting(Empty):
        def take(self) -> Job | None:
            timer.start()  # fires during the wait
            return None

    try:
        Loop(StopsWhileWaiting(), lambda _job: None, JOB_LIMIT, Beats(), 3600, stop).run()
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, previous)
    assert stop.requested


def test_a_stop_before_the_first_turn_takes_no_job() -> None:
    """A job taken then would only be handed back."""
    stop = StopSignal()
    stop.request()
    stop.request()
    queue = Script(stop, deque([job("a")]))
    Loop(queue, lambda _job: None, JOB_LIMIT, Beats(), 3600, stop).run()
    assert len(queue.steps) == 1
