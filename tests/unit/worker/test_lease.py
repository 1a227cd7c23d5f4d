"""Tests of worker.lease: a lease is renewed while its job runs, and the job may be cancelled."""

from __future__ import annotations

import threading

import pytest

from app.store import StoreError
from worker import lease
from worker.lease import LeaseRenewer
from worker.queue import Job
from worker.stop import StopSignal

JOB = Job(
    id="id", package="left-pad", old="1.2.0", new="1.3.0", attempt=1, request_id="",
    entry_id="0-1", lease_token="token",
)  # fmt: skip
WAIT_SECONDS = 20  # until a test gives up


@pytest.fixture(autouse=True)
def _check_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "CHECK_SECONDS", 0.01)


class ScriptedQueue:
    """Queue with scripted answers (True once they are used up) that counts renewals."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = [*answers]
        self.renewals = threading.Semaphore(0)

    def renew(self, job: Job) -> bool:
        assert job is JOB
        answer = self.answers.pop(0) if self.answers else True
        self.renewals.release()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _renewer(
    queue: ScriptedQueue, stop: StopSignal, **options: float
) -> tuple[LeaseRenewer, threading.Event]:
    cancelled = threading.Event()
    options = {"renewal_seconds": 0, "grace_seconds": 0, **options}
    return LeaseRenewer(queue, JOB, stop, cancelled.set, **options), cancelled


def test_the_lease_is_renewed_while_the_job_runs():
    queue = ScriptedQueue()
    renewer, cancelled = _renewer(queue, StopSignal())
    with renewer:
        for _ in range(3):
            assert queue.renewals.acquire(timeout=WAIT_SECONDS)
    assert renewer.cancelled is None
    assert not cancelled.is_set()


def test_a_lost_lease_cancels_the_job():
    renewer, cancelled = _renewer(ScriptedQueue(True, False), StopSignal())
    with renewer:
        assert cancelled.wait(WAIT_SECONDS)
    assert renewer.cancelled == "lost"


def test_an_unavailable_store_does_not_cancel_the_job():
    queue = ScriptedQueue(StoreError("away"), StoreError("away"), True)
    renewer, cancelled = _renewer(queue, StopSignal())
    with renewer:
        for _ in range(4):
            assert queue.renewals.acquire(timeout=WAIT_SECONDS)
    assert renewer.cancelled is None
    assert not cancelled.is_set()


def test_a_stop_request_cancels_the_job_after_the_grace_period():
    stop = StopSignal()
    stop.request()
    renewer, cancelled = _renewer(ScriptedQueue(), stop)
    with renewer:
        assert cancelled.wait(WAIT_SECONDS)
    assert renewer.cancelled == "stopped"


def test_a_job_that_ends_within_the_grace_period_is_not_cancelled():
    stop, queue = StopSignal(), ScriptedQueue()
    stop.request()
    renewer, cancelled = _renewer(queue, stop, grace_seconds=3600)
    with renewer:
        assert queue.renewals.acquire(timeout=WAIT_SECONDS)
    assert renewer.cancelled is None
    assert not cancelled.is_set()


@pytest.mark.parametrize("queue", [ScriptedQueue(), ScriptedQueue(False)])
def test_the_thread_ends_with_the_job(queue):
    before = threading.active_count()
    renewer, _ = _renewer(queue, StopSignal())
    with renewer:
        pass
    assert threading.active_count() == before
