"""worker.lease: a job is held while it is done, and ended when it must not go on."""

from __future__ import annotations

import threading

import pytest

from app.store import StoreError
from worker import lease
from worker.lease import Keeper
from worker.queue import Job
from worker.stop import StopSignal

JOB = Job("id", "left-pad", "1.2.0", "1.3.0", 1, "", "0-1", "lease")
WAIT_SECONDS = 20  # until a test gives up


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does, it does when it looks."""
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.01)


class Queue:
    """Answers as it is told, and counts."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = [*answers]
        self.asked = threading.Semaphore(0)

    def renew(self, job: Job) -> bool:
        assert job is JOB
        answer = self.answers.pop(0) if self.answers else True
        self.asked.release()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _keeper(queue: Queue, stop: StopSignal, **options: float) -> tuple[Keeper, threading.Event]:
    ended = threading.Event()
    return Keeper(queue, JOB, stop, ended.set, **{"every": 0, "grace": 0, **options}), ended


def test_the_lease_is_renewed_as_long_as_the_job_is_done():
    queue = Queue()
    keeper, ended = _keeper(queue, StopSignal())
    with keeper:
        for _ in range(3):
            assert queue.asked.acquire(timeout=WAIT_SECONDS)
    assert keeper.ended is None
    assert not ended.is_set()


def test_a_job_that_another_worker_has_by_now_is_ended():
    keeper, ended = _keeper(Queue(True, False), StopSignal())
    with keeper:
        assert ended.wait(WAIT_SECONDS)
    assert keeper.ended == "lost"


def test_a_store_that_is_away_for_a_moment_ends_nothing():
    queue = Queue(StoreError("away"), StoreError("away"), True)
    keeper, ended = _keeper(queue, StopSignal())
    with keeper:
        for _ in range(4):
            assert queue.asked.acquire(timeout=WAIT_SECONDS)
    assert keeper.ended is None
    assert not ended.is_set()


def test_a_wish_to_stop_ends_what_is_not_finished_in_time():
    stop = StopSignal()
    stop.request()
    keeper, ended = _keeper(Queue(), stop)
    with keeper:
        assert ended.wait(WAIT_SECONDS)
    assert keeper.ended == "stopped"


def test_a_job_that_is_finished_in_time_is_not_ended():
    stop, queue = StopSignal(), Queue()
    stop.request()
    keeper, ended = _keeper(queue, stop, grace=3600)
    with keeper:
        assert queue.asked.acquire(timeout=WAIT_SECONDS)  # it looked, and went on
    assert keeper.ended is None
    assert not ended.is_set()


@pytest.mark.parametrize("queue", [Queue(), Queue(False)])
def test_no_thread_is_left(queue):
    before = threading.active_count()
    keeper, _ = _keeper(queue, StopSignal())
    with keeper:
        pass
    assert threading.active_count() == before
