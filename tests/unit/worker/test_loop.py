"""Tests of worker.loop: it beats on each turn, survives failures and stops on request."""

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
from worker.heartbeat import MAX_SILENCE_SECONDS, PERIOD_SECONDS, Heartbeat
from worker.loop import Loop
from worker.queue import Job
from worker.stop import StopSignal

MAX_JOB_SECONDS = 60.0


def job(name: str) -> Job:
    return Job(
        id=name, package="left-pad", old="1.2.0", new="1.3.0", attempt=1,
        request_id=f"request-{name}", entry_id="0-1", lease_token="token",
    )  # fmt: skip


class RecordingHeartbeat(Heartbeat):
    """Heartbeat that records each beat's deadline and writes no file."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        object.__setattr__(self, "beats", [])

    beats: list[float]

    def beat(self, deadline_seconds: float) -> None:
        self.beats.append(deadline_seconds)


@dataclass
class ScriptedQueue:
    """Queue that returns or raises its steps, and requests a stop with the last one."""

    stop: StopSignal
    steps: deque[Job | Exception | None]
    done: list[str] = field(default_factory=list)

    def claim(self) -> Job | None:
        step = self.steps.popleft()
        if not self.steps:
            self.stop.request()
        if isinstance(step, Exception):
            raise step
        return step

    def process(self, job: Job) -> None:
        """Do a job; the job "bad" crashes."""
        if job.id == "bad":
            raise ValueError("a bug")
        self.done.append(job.id)


class EmptyQueue:
    def claim(self) -> Job | None:
        return None


def _run(steps: Iterable[Job | Exception | None]) -> tuple[ScriptedQueue, RecordingHeartbeat]:
    stop, heartbeat = StopSignal(), RecordingHeartbeat()
    queue = ScriptedQueue(stop, deque(steps))
    Loop(queue, queue.process, MAX_JOB_SECONDS, heartbeat, 0.001, stop).run()
    return queue, heartbeat


def test_the_loop_beats_on_each_idle_turn() -> None:
    _, heartbeat = _run([None, None, None])
    assert heartbeat.beats == [MAX_SILENCE_SECONDS] * 3


class RecordingStop(StopSignal):
    """Stop signal that records each wait, does not wait, and is requested at wait `last`."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last, self.waits = last, list[float]()

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == self.last:
            self.request()
        return self.requested


def test_the_loop_beats_while_it_waits_for_a_long_poll_interval() -> None:
    stop, heartbeat = RecordingStop(last=4), RecordingHeartbeat()
    interval = 2.5 * PERIOD_SECONDS
    Loop(EmptyQueue(), lambda _: None, MAX_JOB_SECONDS, heartbeat, interval, stop).run()
    assert stop.waits == [PERIOD_SECONDS, PERIOD_SECONDS, PERIOD_SECONDS / 2, PERIOD_SECONDS]
    # a turn, two beats while waiting, another turn
    assert heartbeat.beats == [MAX_SILENCE_SECONDS] * 4


def test_the_beat_before_a_job_covers_the_whole_job() -> None:
    _, heartbeat = _run([job("a"), None])
    assert heartbeat.beats == [
        MAX_SILENCE_SECONDS,
        MAX_JOB_SECONDS + MAX_SILENCE_SECONDS,
        MAX_SILENCE_SECONDS,
    ]


def test_a_crashed_job_is_logged_and_the_next_one_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, _ = _run([job("bad"), job("good"), None])
    assert queue.done == ["good"]
    assert "job crashed" in caplog.messages


def test_a_queue_error_is_logged_without_its_text_and_the_loop_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The text may contain a password."""
    queue, heartbeat = _run([StoreError("hush"), job("good"), None])
    assert queue.done == ["good"]
    assert "queue unavailable" in caplog.messages
    assert "hush" not in caplog.text
    assert len(heartbeat.beats) == 4


def test_a_queue_that_stays_unavailable_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = StoreError("OutOfMemoryError", "full")
    _run([StoreError("x"), StoreError("y"), full, full, None])
    states = [vars(record)["state"] for record in caplog.records]
    assert states == ["down", "full"]


def test_the_log_context_has_the_request_id_during_the_job_only() -> None:
    stop, ids = StopSignal(), list[str]()
    queue = ScriptedQueue(stop, deque([job("bad"), None]))

    def process(job: Job) -> None:
        ids.append(request_id.get())
        queue.process(job)

    Loop(queue, process, MAX_JOB_SECONDS, RecordingHeartbeat(), 0.001, stop).run()
    assert ids == ["request-bad"]
    assert request_id.get() == ""


def test_a_failed_heartbeat_is_logged_and_the_loop_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = StopSignal()
    queue = ScriptedQueue(stop, deque([job("a"), None]))
    heartbeat = Heartbeat(tmp_path / "absent" / "heartbeat")
    Loop(queue, queue.process, MAX_JOB_SECONDS, heartbeat, 0.001, stop).run()
    assert queue.done == ["a"]
    assert "heartbeat not written" in caplog.messages


def test_a_stop_request_ends_a_long_wait_at_once() -> None:
    """The poll interval is an hour, longer than the suite's time limit."""
    stop = StopSignal()

    # not SIGALRM: the suite's time limit uses it
    previous = signal.signal(signal.SIGUSR1, lambda _signal, _frame: stop.request())
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))

    class StopsWhileWaiting(EmptyQueue):
        def claim(self) -> Job | None:
            timer.start()  # fires during the wait
            return None

    try:
        heartbeat = RecordingHeartbeat()
        Loop(StopsWhileWaiting(), lambda _: None, MAX_JOB_SECONDS, heartbeat, 3600, stop).run()
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, previous)
    assert stop.requested


def test_a_stop_request_before_the_first_turn_claims_no_job() -> None:
    stop = StopSignal()
    stop.request()
    stop.request()
    queue = ScriptedQueue(stop, deque([job("a")]))
    Loop(queue, lambda _: None, MAX_JOB_SECONDS, RecordingHeartbeat(), 3600, stop).run()
    assert len(queue.steps) == 1
