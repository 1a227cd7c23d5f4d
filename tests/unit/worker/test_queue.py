"""worker.queue: no review is lost, none is written twice, whoever dies."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from app import store
from app.reviews import Failure, Result, Status
from app.store import Store, StoreError, connect
from worker import queue
from worker.queue import Queue

UPGRADE = ("left-pad", "1.2.0", "1.3.0")
RESULT = Result(verdict="pass", risk=0.1, threshold=0.75, from_version="1.2.0", to_version="1.3.0")
AWAY = Failure(code="registry_unavailable", message="the registry answers 503")


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reviews(client) -> Store:
    return Store(client)


@pytest.fixture
def asked(reviews) -> str:
    return reviews.submit(*UPGRADE, request_id="r-1")[0].id


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(client, clock) -> Queue:
    return Queue(client, "first", clock=clock)


@pytest.fixture
def heir(client, clock) -> Queue:
    """A worker to whom every other is silent for too long."""
    return Queue(client, "heir", lease=0, clock=clock)


def test_nothing_waits(worker):
    assert worker.take() is None


def test_a_job_is_taken_once_and_runs(reviews, asked, worker, client):
    job = worker.take()
    assert (job.id, job.package, job.old, job.new) == (asked, *UPGRADE)
    assert (job.attempt, job.request_id) == (1, "r-1")
    assert reviews.get(asked).status == Status.RUNNING
    assert worker.take() is None
    assert Queue(client, "second").take() is None


def test_the_first_that_came_is_taken_first(reviews, worker):
    ids = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(5)]
    assert [worker.take().id for _ in ids] == ids


def test_what_came_of_it_is_written_and_the_job_is_gone(reviews, asked, worker, heir, client):
    assert worker.finish(worker.take(), RESULT, "--- a\n")
    review = reviews.get(asked)
    assert (review.status, review.result, review.failure) == (Status.DONE, RESULT, None)
    assert reviews.diff(asked) == "--- a\n"
    assert heir.take() is None
    assert client.xlen(store.STREAM) == 0
    assert 0 < client.ttl(store.diff_key(asked)) <= client.ttl(store.review_key(asked))


def test_a_job_whose_worker_died_is_taken_by_another(reviews, asked, worker, heir):
    worker.take()
    job = heir.take()
    assert (job.id, job.attempt) == (asked, 2)
    assert heir.finish(job, RESULT, "")
    assert reviews.get(asked).status == Status.DONE


def test_a_worker_that_is_not_silent_for_its_lease_keeps_its_job(asked, worker, client):
    worker.take()
    assert Queue(client, "second", lease=3600).take() is None


def test_who_lost_the_lease_writes_nothing(reviews, asked, worker, heir):
    """A worker that hung, and goes on when another has its job."""
    hung = worker.take()
    job = heir.take()
    assert not worker.renew(hung)
    assert not worker.finish(hung, RESULT, "the first one's")
    assert not worker.fail(hung, AWAY)
    assert not worker.retry(hung, AWAY)
    assert not worker.hand_back(hung)
    assert reviews.get(asked).status == Status.RUNNING
    assert reviews.diff(asked) is None
    assert heir.finish(job, RESULT, "the second one's")
    assert reviews.diff(asked) == "the second one's"


def test_what_is_renewed_is_not_left(asked, worker, client):
    """Redis counts the silence anew."""
    job = worker.take()
    (before,) = client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)
    while client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)[0][
        "time_since_delivered"
    ] <= max(5, before["time_since_delivered"]):
        pass
    assert worker.renew(job)
    (after,) = client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)
    assert after["time_since_delivered"] < 5
    assert after["consumer"] == "first"


def test_a_failure_is_written_and_final(reviews, asked, worker, heir):
    assert worker.fail(worker.take(), Failure(code="not_found", message="there is no left-pad"))
    review = reviews.get(asked)
    assert (review.status, review.dead_letter) == (Status.FAILED, False)
    assert review.failure.code == "not_found"
    assert heir.take() is None


def test_what_failed_for_now_is_tried_again_later_and_says_why(reviews, asked, worker, clock):
    assert worker.retry(worker.take(), AWAY)
    assert reviews.get(asked).status == Status.QUEUED
    assert reviews.get(asked).failure == AWAY
    assert worker.take() is None
    clock.now += 2 * queue.RETRY_SECONDS
    assert worker.take().attempt == 2


def test_each_pause_is_longer_until_the_last_attempt_is_a_dead_letter(
    reviews, asked, worker, clock
):
    waited = []
    while (job := worker.take()) is not None:
        assert worker.retry(job, AWAY)
        begun = clock.now
        while reviews.get(asked).status == Status.QUEUED and worker._client.zcount(
            queue.LATER, clock.now * 1000 + 1, "+inf"
        ):
            clock.now += 0.5
        waited.append(clock.now - begun)
    assert len(waited) == queue.MOST_ATTEMPTS
    assert waited[:-1] == sorted(waited[:-1])
    review = reviews.get(asked)
    assert (review.status, review.dead_letter) == (Status.FAILED, True)
    assert (review.attempts, review.failure) == (queue.MOST_ATTEMPTS, AWAY)


def test_a_job_that_ends_each_of_its_workers_is_a_dead_letter(reviews, asked, heir):
    for attempt in range(queue.MOST_ATTEMPTS):
        assert heir.take().attempt == attempt + 1  # and the worker dies
    assert heir.take() is None
    review = reviews.get(asked)
    assert (review.status, review.dead_letter) == (Status.FAILED, True)
    assert review.failure.code == "abandoned"


def test_what_is_handed_back_is_taken_at_once_and_counts_as_no_attempt(reviews, asked, worker):
    assert worker.hand_back(worker.take())
    assert reviews.get(asked).status == Status.QUEUED
    assert worker.take().attempt == 1


def test_a_job_whose_review_expired_is_passed_over(reviews, asked, worker, client):
    client.delete(store.review_key(asked))
    other, _ = reviews.submit("other", "1.0.0", "2.0.0")
    assert worker.take().id == other.id
    assert client.xlen(store.STREAM) == 1


def test_a_review_that_expires_while_it_runs_is_not_raised_from_the_dead(asked, worker, client):
    job = worker.take()
    client.delete(store.review_key(asked))
    assert not worker.finish(job, RESULT, "")
    assert not client.exists(store.review_key(asked))


def test_many_workers_do_each_job_once(reviews, redis_url):
    ids = {reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(60)}
    done: list[str] = []

    def work(name: str) -> None:
        mine = Queue(connect(redis_url), name)
        while job := mine.take():
            if mine.finish(job, RESULT, ""):
                done.append(job.id)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Counter(done) == Counter(ids)


def test_a_store_that_is_away_is_one_kind_of_error():
    with pytest.raises(StoreError):
        Queue(connect("redis://127.0.0.1:1/0"), "lonely").take()
