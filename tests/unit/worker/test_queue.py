"""Tests of worker.queue: no job is lost or written twice, even if workers die."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from app import store
from app.reviews import Failure, Result, Status
from app.store import Store, StoreError, connect
from tests.support.stored_diffs import read_diff
from worker import queue
from worker.queue import Queue

UPGRADE = ("left-pad", "1.2.0", "1.3.0")
RESULT = Result(verdict="pass", risk=0.1, threshold=0.75, from_version="1.2.0", to_version="1.3.0")
UNAVAILABLE = Failure(code="registry_unavailable", message="the registry answers 503")


class Clock:
    """Clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reviews(client) -> Store:
    return Store(client)


@pytest.fixture
def review_id(reviews) -> str:
    return reviews.submit(*UPGRADE, request_id="r-1")[0].id


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(client, clock) -> Queue:
    return Queue(client, "first", clock=clock)


@pytest.fixture
def successor(client, clock) -> Queue:
    """A worker that takes over any job at once."""
    return Queue(client, "successor", lease_seconds=0, clock=clock)


def test_claim_returns_none_if_no_job_is_waiting(worker):
    assert worker.claim() is None


def test_a_job_is_claimed_once_and_marked_as_running(reviews, review_id, worker, client):
    job = worker.claim()
    assert (job.id, job.package, job.old, job.new) == (review_id, *UPGRADE)
    assert (job.attempt, job.request_id) == (1, "r-1")
    assert reviews.get(review_id).status == Status.RUNNING
    assert worker.claim() is None
    assert Queue(client, "second").claim() is None


def test_jobs_are_claimed_in_order_of_submission(reviews, worker):
    ids = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(5)]
    assert [worker.claim().id for _ in ids] == ids


def test_finish_writes_result_and_diff_and_removes_the_job(
    reviews, review_id, worker, successor, client
):
    assert worker.finish(worker.claim(), RESULT, "--- a\n")
    review = reviews.get(review_id)
    assert (review.status, review.result, review.failure) == (Status.DONE, RESULT, None)
    assert read_diff(reviews, review_id) == "--- a\n"
    assert successor.claim() is None
    assert client.xlen(store.STREAM) == 0
    assert 0 < client.ttl(store.diff_key(review_id)) <= client.ttl(store.review_key(review_id))


def test_another_worker_claims_the_job_of_a_dead_worker(reviews, review_id, worker, successor):
    worker.claim()
    job = successor.claim()
    assert (job.id, job.attempt) == (review_id, 2)
    assert successor.finish(job, RESULT, "")
    assert reviews.get(review_id).status == Status.DONE


def test_a_worker_keeps_its_job_during_its_lease(review_id, worker, client):
    worker.claim()
    assert Queue(client, "second", lease_seconds=3600).claim() is None


def test_abandoned_job_is_claimed_behind_many_jobs_of_living_workers(reviews, worker, client):
    """XAUTOCLAIM looks at ten entries at a time."""
    for n in range(25):
        reviews.submit("p", "1.0.0", f"1.0.{n}")
    *_, last = [worker.claim() for _ in range(25)]
    hour_ms = 3_600_000
    client.xclaim(store.STREAM, store.GROUP, "dead", 0, [last.entry_id], idle=hour_ms)
    assert worker.claim().id == last.id
    assert worker.claim() is None


def test_a_killed_workers_job_is_found_behind_eleven_older_jobs(reviews, client):
    for n in range(12):
        reviews.submit("p", "1.0.0", f"1.0.{n}")
    workers = [Queue(client, f"w{n}") for n in range(12)]
    *living, killed = [worker.claim() for worker in workers]
    # The twelfth worker was silent for longer than its lease.
    idle_ms = int(queue.LEASE_SECONDS * 1000) + 1
    client.xclaim(store.STREAM, store.GROUP, "w11", 0, [killed.entry_id], idle=idle_ms)
    found = workers[0].claim()
    assert (found.id, found.attempt) == (killed.id, 2)
    assert workers[1].claim() is None
    assert not workers[11].finish(killed, RESULT, "")
    for worker, job in zip(workers[:11], living, strict=True):
        assert worker.finish(job, RESULT, "")
    assert workers[0].finish(found, RESULT, "")


# --- entries of which no job can be made


def _poison(client, reviews, kind: str) -> None:
    """Queue an entry of which no job can be made."""
    if kind.startswith("entry: "):
        fields = {"no id": {"x": "y"}, "no hash": {"id": "0" * 16}, "bytes": {b"id": b"\xff\x00"},
                  "only bytes": {b"\xfe": b"\xff"}, "empty id": {"id": ""}}  # fmt: skip
        client.xadd(store.STREAM, fields[kind.removeprefix("entry: ")])
        return
    review, _ = reviews.submit("poison", "1.0.0", "2.0.0")
    key = store.review_key(review.id)
    if kind == "a list":
        client.delete(key)
        client.lpush(key, "x")
    elif kind.startswith("no "):
        client.hdel(key, kind.removeprefix("no "))
    else:
        name, _, value = kind.partition("=")
        client.hset(key, name, value.encode("latin-1"))


POISON = [
    "entry: no id", "entry: no hash", "entry: bytes", "entry: only bytes", "entry: empty id",
    "a list", "no status", "no package", "no from", "no to", "status=lost", "attempts=x",
    "attempts=-1", "attempts=1e3", "attempts=", "attempts=99999999999999999999", "package=\xff",
    "package=", "to=1.0\n", "from=\x00",
]  # fmt: skip


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_removed_and_logged_once_and_the_queue_goes_on(
    reviews, worker, successor, client, caplog, kind
):
    _poison(client, reviews, kind)
    sound, _ = reviews.submit(*UPGRADE)
    assert worker.claim().id == sound.id
    assert client.xlen(store.STREAM) == 1
    assert client.xpending(store.STREAM, store.GROUP)["pending"] == 1
    (record,) = caplog.records
    assert record.message == "poison entry dropped"
    assert record.why
    assert successor.claim().id == sound.id
    assert len(caplog.records) == 1


@pytest.mark.parametrize("kind", ["package=\xe9", "to=1.0\n", "no from", "attempts=x"])
def test_poison_review_is_no_answer_to_its_upgrade(reviews, worker, client, kind):
    _poison(client, reviews, kind)
    worker.claim()
    assert reviews.submit("poison", "1.0.0", "2.0.0")[1]


def test_more_poison_than_one_script_removes(reviews, worker, client, caplog):
    for _ in range(250):
        client.xadd(store.STREAM, {"x": "y"})
    sound, _ = reviews.submit(*UPGRADE)
    assert worker.claim().id == sound.id
    assert len(caplog.records) == 250


def test_abandoned_poison_is_removed(reviews, worker, successor, client, caplog):
    """Workers of version 0.2 left such entries in the stream's list of pending ones."""
    client.xgroup_create(store.STREAM, store.GROUP, id="0", mkstream=True)
    for kind in POISON[:5]:
        _poison(client, reviews, kind)
        client.xreadgroup(store.GROUP, "old", {store.STREAM: ">"}, count=1)
    assert successor.claim() is None
    assert client.xlen(store.STREAM) == 0
    assert client.xpending(store.STREAM, store.GROUP)["pending"] == 0
    assert len(caplog.records) == 5


def test_pending_entry_that_is_gone_from_the_stream_is_forgotten(
    reviews, review_id, worker, successor, client
):
    job = worker.claim()
    client.xdel(store.STREAM, job.entry_id)
    assert successor.claim() is None
    assert client.xpending(store.STREAM, store.GROUP)["pending"] == 0


def test_damaged_id_that_waits_for_another_attempt_is_removed(reviews, worker, client, clock):
    client.zadd(queue.RETRIES, {b"\xff": 1})
    assert worker.claim() is None
    assert client.zcard(queue.RETRIES) == client.xlen(store.STREAM) == 0


def test_review_that_another_type_replaced_while_it_ran_is_lost(reviews, review_id, worker, client):
    job = worker.claim()
    client.delete(store.review_key(review_id))
    client.lpush(store.review_key(review_id), "x")
    assert not worker.renew(job)
    assert not worker.finish(job, RESULT, "")


# --- consumers


def _consumers(client) -> set[str]:
    return {info["name"] for info in client.xinfo_consumers(store.STREAM, store.GROUP)}


def test_consumer_of_a_dead_worker_is_removed(reviews, client, monkeypatch):
    worker = Queue(client, "living")
    for claiming in (Queue(client, "dead"), worker):
        reviews.submit("p", "1.0.0", "2.0.0", force=True)
        claiming.finish(claiming.claim(), RESULT, "")
    assert _consumers(client) == {"dead", "living"}
    monkeypatch.setattr(queue, "MAX_CONSUMER_IDLE_SECONDS", 0.001)
    while client.xinfo_consumers(store.STREAM, store.GROUP)[0]["idle"] < 2:
        pass
    worker.claim()
    assert _consumers(client) == {"living"}


def test_consumer_with_a_job_stays_until_its_job_is_claimed(
    reviews, review_id, worker, client, monkeypatch
):
    job = worker.claim()
    monkeypatch.setattr(queue, "MAX_CONSUMER_IDLE_SECONDS", -1)
    assert Queue(client, "second").claim() is None
    assert "first" in _consumers(client)
    found = Queue(client, "second", lease_seconds=0).claim()
    assert found.id == job.id
    Queue(client, "third").claim()
    assert _consumers(client) == {"second"}


def test_removed_consumer_returns_with_its_next_claim(
    reviews, review_id, worker, client, monkeypatch
):
    worker.finish(worker.claim(), RESULT, "")
    monkeypatch.setattr(queue, "MAX_CONSUMER_IDLE_SECONDS", -1)
    Queue(client, "second").claim()
    assert _consumers(client) == set()
    reviews.submit(*UPGRADE, force=True)
    assert worker.claim()
    assert "first" in _consumers(client)


def test_a_worker_that_lost_its_lease_writes_nothing(reviews, review_id, worker, successor):
    hung = worker.claim()
    job = successor.claim()
    assert not worker.renew(hung)
    assert not worker.finish(hung, RESULT, "the first worker's")
    assert not worker.fail(hung, UNAVAILABLE)
    assert not worker.retry(hung, UNAVAILABLE)
    assert not worker.release(hung)
    assert reviews.get(review_id).status == Status.RUNNING
    assert read_diff(reviews, review_id) is None
    assert successor.finish(job, RESULT, "the second worker's")
    assert read_diff(reviews, review_id) == "the second worker's"


def test_renew_resets_the_idle_time(review_id, worker, client):
    job = worker.claim()
    (before,) = client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)
    while client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)[0][
        "time_since_delivered"
    ] <= max(5, before["time_since_delivered"]):
        pass
    assert worker.renew(job)
    (after,) = client.xpending_range(store.STREAM, store.GROUP, "-", "+", 1)
    assert after["time_since_delivered"] < 5
    assert after["consumer"] == "first"


def test_fail_is_final(reviews, review_id, worker, successor):
    assert worker.fail(worker.claim(), Failure(code="not_found", message="there is no left-pad"))
    review = reviews.get(review_id)
    assert (review.status, review.dead_letter) == (Status.FAILED, False)
    assert review.failure.code == "not_found"
    assert successor.claim() is None


def test_retry_queues_the_job_for_later_with_the_failure(reviews, review_id, worker, clock):
    assert worker.retry(worker.claim(), UNAVAILABLE)
    assert reviews.get(review_id).status == Status.QUEUED
    assert reviews.get(review_id).failure == UNAVAILABLE
    assert worker.claim() is None
    clock.now += (1 + queue.JITTER) * queue.FIRST_DELAY_SECONDS
    assert worker.claim().attempt == 2


def _seconds_until_retry(client, review_id, clock) -> float:
    return client.zscore(queue.RETRIES, review_id) / 1000 - clock.now


@pytest.mark.parametrize(("bound", "seconds"), [(min, 1.5), (max, 2.5)])
def test_retry_delay_varies_by_a_quarter(
    reviews, review_id, worker, client, clock, monkeypatch, bound, seconds
):
    monkeypatch.setattr(queue.random, "uniform", lambda *bounds: bound(bounds))
    worker.retry(worker.claim(), UNAVAILABLE)
    assert _seconds_until_retry(client, review_id, clock) == seconds


def test_retry_delay_is_random(reviews, worker, client):
    for n in range(20):
        reviews.submit("p", "1.0.0", f"1.0.{n}")
        worker.retry(worker.claim(), UNAVAILABLE)
    times = {time for _, time in client.zrange(queue.RETRIES, 0, -1, withscores=True)}
    assert len(times) > 1
    assert max(times) - min(times) <= 1000


def test_retry_delay_doubles_until_dead_letter(
    reviews, review_id, worker, client, clock, monkeypatch
):
    monkeypatch.setattr(queue.random, "uniform", lambda *_: 1.0)  # no jitter
    delays = []
    for _ in range(queue.MAX_ATTEMPTS - 1):
        assert worker.retry(worker.claim(), UNAVAILABLE)
        delays.append(_seconds_until_retry(client, review_id, clock))
        clock.now += delays[-1]
    assert worker.retry(worker.claim(), UNAVAILABLE)
    assert worker.claim() is None
    assert delays == [2, 4, 8, 16, 32, 64, 120]
    review = reviews.get(review_id)
    assert (review.status, review.dead_letter) == (Status.FAILED, True)
    assert (review.attempts, review.failure) == (queue.MAX_ATTEMPTS, UNAVAILABLE)


def test_a_job_that_kills_each_worker_becomes_a_dead_letter(reviews, review_id, successor):
    for attempt in range(queue.MAX_ATTEMPTS):
        assert successor.claim().attempt == attempt + 1  # the worker dies now
    assert successor.claim() is None
    review = reviews.get(review_id)
    assert (review.status, review.dead_letter) == (Status.FAILED, True)
    assert review.failure.code == "abandoned"


def test_a_released_job_is_claimed_at_once_and_no_attempt_is_counted(reviews, review_id, worker):
    assert worker.release(worker.claim())
    assert reviews.get(review_id).status == Status.QUEUED
    assert worker.claim().attempt == 1


def test_claim_drops_the_entry_of_an_expired_review(reviews, review_id, worker, client):
    client.delete(store.review_key(review_id))
    other, _ = reviews.submit("other", "1.0.0", "2.0.0")
    assert worker.claim().id == other.id
    assert client.xlen(store.STREAM) == 1


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
def test_claim_drops_a_second_entry_of_an_ended_review(reviews, review_id, worker, client, status):
    """The client resends a submission whose reply was lost: the stream then has two entries."""
    client.xadd(store.STREAM, {"id": review_id})
    job = worker.claim()
    if status == Status.DONE:
        worker.finish(job, RESULT, "")
    else:
        worker.fail(job, UNAVAILABLE)
    assert worker.claim() is None
    review = reviews.get(review_id)
    assert (review.status, review.attempts) == (status, 1)
    assert client.xlen(store.STREAM) == 0


def test_finish_does_not_recreate_an_expired_review(review_id, worker, client):
    job = worker.claim()
    client.delete(store.review_key(review_id))
    assert not worker.finish(job, RESULT, "")
    assert not client.exists(store.review_key(review_id))


def test_concurrent_workers_do_each_job_once(reviews, redis_url):
    ids = {reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(60)}
    done: list[str] = []

    def work(name: str) -> None:
        worker = Queue(connect(redis_url), name)
        while job := worker.claim():
            if worker.finish(job, RESULT, ""):
                done.append(job.id)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Counter(done) == Counter(ids)


def test_an_unavailable_store_raises_store_error():
    with pytest.raises(StoreError):
        Queue(connect("redis://127.0.0.1:1/0"), "lonely").claim()
