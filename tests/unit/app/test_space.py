"""Tests of app.space: the store drops the oldest data, and is never too full for work in hand."""

from __future__ import annotations

import base64
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app import space, store
from app.reviews import Failure, Finding, Result, Statistics, Status
from app.store import Store, StoreError, StoreFull, connect
from tests.support import redis_server
from tests.support.api_client import Api
from tests.support.stored_diffs import read_diff
from worker.queue import Queue

if TYPE_CHECKING:
    import redis

MIB = 1024 * 1024
CONFIG = Path(__file__).parents[3] / "cache/redis.conf"
RESULT = Result(
    verdict="pass",
    risk=0.1,
    threshold=0.75,
    from_version="1.0.0",
    to_version="2.0.0",
    statistics=Statistics(files_modified=1),
)
LARGE_RESULT = RESULT.model_copy(
    update={
        "findings": tuple(
            Finding(signal="s.t", path=f"{n}/a.js", line=n, weight=0.5, text="t" * 400)
            for n in range(100)
        )
    }
)
FAILURE = Failure(code="registry_unavailable", message="€" * 2000)
# Hardly compressible; each diff is another part of it.
NOISE = base64.b85encode(random.Random(1).randbytes(3 * MIB)).decode()


def _diff(number: int, size: int = MIB) -> str:
    return NOISE[number * 1000 :][:size]


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    """Return a client of a small server with the stack's configuration."""
    options = ("--maxmemory", f"{24 * MIB}", "--appendfsync", "no")
    with redis_server.running(*options, config=CONFIG) as url:
        client = connect(url)
        yield client
        client.close()


@pytest.fixture
def reviews(client) -> Store:
    return Store(client)


@pytest.fixture
def worker(client) -> Queue:
    return Queue(client, "worker")


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _url(client: redis.Redis) -> str:
    return f"unix://{client.connection_pool.connection_kwargs['path']}"


def _review(reviews: Store, worker: Queue, number: int, result=RESULT, diff: str = "") -> str:
    """Submit an upgrade and finish its review; return its id."""
    review, is_new = reviews.submit("p", "1.0.0", f"2.0.{number}")
    assert is_new
    job = worker.claim()
    assert job.id == review.id
    assert worker.finish(job, result, diff)
    return review.id


def _fill(client: redis.Redis, *, beyond: int) -> None:
    """Store data of another user, until the store holds so many bytes more than its mark."""
    mark = int(client.config_get("maxmemory")["maxmemory"]) * space.MARK
    missing = int(mark + beyond - _used(client))
    for n in range(0, missing, 65536):
        client.set(f"foreign:{n}", "x" * 65_000)  # the allocator rounds up to 65536


def _remove_foreign(client: redis.Redis) -> None:
    client.delete(*client.scan_iter("foreign:*", count=1000))


# --- the sum


def test_queue_results_and_diffs_fit_below_the_mark_of_the_stacks_store():
    configuration = CONFIG.read_text()
    (megabytes,) = re.findall(r"^maxmemory (\d+)mb$", configuration, re.MULTILINE)
    maxmemory = int(megabytes) * MIB
    assert maxmemory == space.DEFAULT_MAXMEMORY
    assert "\nmaxmemory-policy noeviction\n" in configuration
    queue = space.MAX_QUEUED * space.MAX_QUEUED_BYTES
    results, diffs = maxmemory * space.RESULTS_SHARE, maxmemory * space.DIFFS_SHARE
    assert 4 * MIB + queue + results + 1.25 * diffs <= maxmemory * space.MARK
    assert maxmemory * (1 - space.MARK) >= 12 * space.MAX_DIFF_BYTES / 4


def test_a_queued_review_takes_at_most_the_planned_memory(client, reviews, worker):
    _review(reviews, worker, 0)  # Redis loads the scripts, and allocates its buffers
    count, before = 1000, _used(client)
    for n in range(count):
        reviews.submit("p" * 214, f"1.0.{n}-".ljust(256, "x"), "y" * 256, request_id="r" * 64)
    assert (_used(client) - before) / count <= space.MAX_QUEUED_BYTES
    for _ in range(count):
        worker.retry(worker.claim(), FAILURE)
    assert (_used(client) - before) / count <= space.MAX_QUEUED_BYTES


@pytest.mark.parametrize("result", [RESULT, LARGE_RESULT], ids=["small", "large"])
def test_a_finished_review_takes_at_most_the_counted_memory(client, reviews, worker, result):
    _review(reviews, worker, 0)
    before, start = _used(client), client.zrange(store.ENDED, -1, -1, withscores=True)[0][1]
    for n in range(1, 50):
        _review(reviews, worker, n, result)
    counted = client.zrange(store.ENDED, -1, -1, withscores=True)[0][1] - start
    assert _used(client) - before <= 1.25 * counted


# --- diffs


def test_the_oldest_diffs_are_dropped_and_no_review_is_refused_or_lost(client, reviews, worker):
    ids = [_review(reviews, worker, n, diff=_diff(n)) for n in range(16)]
    stored = [reviews.get(id_) for id_ in ids]
    assert {review.status for review in stored} == {Status.DONE}
    dropped = [review.diff_dropped for review in stored]
    assert dropped == sorted(dropped, reverse=True), "the oldest first"
    assert [read_diff(reviews, id_) is None for id_ in ids] == dropped
    assert read_diff(reviews, ids[-1]) == _diff(15)
    kept = sum(client.strlen(store.diff_key(id_)) for id_ in ids)
    assert 4 * MIB <= kept <= 24 * MIB * space.DIFFS_SHARE
    assert _used(client) <= 24 * MIB * space.MARK


def test_four_workers_lose_no_review_with_a_large_diff(client, reviews):
    ids = [reviews.submit("p", "1.0.0", f"2.0.{n}")[0].id for n in range(16)]

    def work(name: str) -> None:
        worker = Queue(connect(_url(client)), name)
        while job := worker.claim():
            assert worker.finish(job, RESULT, _diff(int(job.new.split(".")[2])))

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stored = [reviews.get(id_) for id_ in ids]
    assert {review.status for review in stored} == {Status.DONE}
    for review in stored:
        assert (read_diff(reviews, review.id) is None) == review.diff_dropped


def test_a_dropped_diff_is_gone_and_its_review_says_so(client, reviews, worker):
    id_ = _review(reviews, worker, 0, diff="--- a\n")
    for n in range(1, 12):
        _review(reviews, worker, n, diff=_diff(n))
    api = Api(reviews)
    body = api.get(f"/v1/reviews/{id_}").json()
    assert (body["status"], body["diff_dropped"]) == ("done", True)
    response = api.get(f"/v1/reviews/{id_}/diff")
    assert response.status_code == 410
    assert "dropped to make room" in response.json()["detail"]
    assert "force=true" in response.json()["detail"]


def test_a_diff_larger_than_the_limit_is_cut_at_a_line(client, reviews, worker):
    line = NOISE[:1023] + "\n"
    text = line * (space.MAX_DIFF_BYTES // 1024 + 10)
    id_ = _review(reviews, worker, 0, diff=text)
    assert read_diff(reviews, id_) == line * (space.MAX_DIFF_BYTES // 1024)
    assert reviews.get(id_).result.diff_truncated


@pytest.mark.parametrize("diff", ["", "é€𝄞\n", "\x1f\x8b\x08 no gzip\n", "x\x9c"])
def test_a_diff_is_read_as_it_was_written(client, reviews, worker, diff):
    id_ = _review(reviews, worker, 0, diff=diff)
    assert read_diff(reviews, id_) == diff
    client.set(store.diff_key(id_), diff)  # as version 0.2 stored it
    assert read_diff(reviews, id_) == diff


def test_a_lone_surrogate_in_a_diff_is_replaced(client, reviews, worker):
    assert read_diff(reviews, _review(reviews, worker, 0, diff="a\ud800b")) == "a?b"


# --- results


def test_the_oldest_finished_reviews_are_dropped_before_new_ones_are_refused(
    client, reviews, worker
):
    ids = [_review(reviews, worker, n, LARGE_RESULT) for n in range(150)]
    stored = [reviews.get(id_) for id_ in ids]
    dropped = [review is None for review in stored]
    assert True in dropped
    assert dropped == sorted(dropped, reverse=True), "the oldest first"
    kept = [review for review in stored if review]
    assert len(kept) >= 50
    page, _ = reviews.page(100)
    assert {review.id for review in page} == {review.id for review in kept}
    assert reviews.submit("p", "1.0.0", "2.0.0")[1], "a dropped review is made again"
    # No key of a dropped review stays.
    names = [key.rsplit(":", 1)[-1] for key in client.scan_iter()]
    assert not set(names) & set(ids[: dropped.index(False)])
    assert len([key for key in client.scan_iter() if ":triple:" in key]) == len(kept) + 1


def test_failed_reviews_are_dropped_like_finished_ones(client, reviews, worker):
    client.config_set("maxmemory", 6 * MIB)
    count = int(6 * MIB * space.RESULTS_SHARE / space.OVERHEAD_BYTES) + 50
    for n in range(count):
        reviews.submit("p", "1.0.0", f"2.0.{n}")
        worker.fail(worker.claim(), FAILURE)
    assert 0 < client.zcard(store.INDEX) < count


def test_a_result_is_cut_to_its_limits_and_the_gravest_findings_stay(reviews, worker):
    findings = tuple(
        Finding(signal="s", path="p" * 1000, line=n, weight=0.5, text="€" * 1000)
        for n in range(500)
    )
    long = RESULT.model_copy(
        update={"findings": findings, "summary": "s" * 9000, "reasons": ("\x00" * 9000,) * 50}
    )
    id_ = _review(reviews, worker, 0, long)
    result = reviews.get(id_).result
    assert len(result.model_dump_json()) <= 64 * 1024
    assert 1 <= len(result.findings) <= 100
    assert [finding.line for finding in result.findings] == list(range(len(result.findings)))
    assert result.findings_omitted == 500 - len(result.findings)
    assert len(result.summary) == 2000
    assert result.findings[0].text == "€" * 499 + "…"


def test_windows_forget_expired_reviews(client, worker):
    short_lived = Store(client, ttl_seconds=60)
    old = [_review(short_lived, worker, n, diff="x") for n in range(5)]
    for id_ in old:
        client.delete(store.review_key(id_), store.diff_key(id_))
    new = _review(short_lived, worker, 9, diff="x")
    assert client.zrange(store.DIFFS, 0, -1) == client.zrange(store.ENDED, 0, -1) == [new]


# --- a full store


def test_a_full_store_refuses_new_reviews_until_there_is_room(client, reviews, worker):
    api = Api(reviews, api_rate_limit=100)
    id_ = _review(reviews, worker, 0, diff="--- a\n")
    _fill(client, beyond=MIB)
    body = {"package": "p", "from": "1.0.0", "to": "3.0.0"}
    response = api.post("/v1/reviews", json=body)
    assert response.status_code == 503
    assert "the store is full" in response.json()["detail"]
    assert "maxmemory" in response.json()["detail"]
    assert int(response.headers["retry-after"]) > 0
    ready = api.get("/ready")
    assert (ready.status_code, ready.json()["dependencies"]) == (503, {"store": "full"})
    assert "the store is full" in ready.json()["detail"]
    assert reviews.get(id_) is None, "all that could be dropped was dropped"
    _remove_foreign(client)
    assert api.get("/ready").status_code == 200
    assert api.post("/v1/reviews", json=body).status_code == 202


def test_no_more_diffs_are_dropped_than_the_store_needs(client, reviews, worker):
    """The allocator rounds 1.02 MiB up to 1.25 MiB, and the store frees these."""
    ids = [_review(reviews, worker, n, diff="x") for n in range(4)]
    writer = connect(_url(client))
    for id_ in ids:
        writer.set(store.diff_key(id_), "x" * (MIB + 20_000))
    writer.close()  # and so its buffer in the store
    _fill(client, beyond=int(1.1 * MIB))
    worker.claim()
    assert [reviews.get(id_).diff_dropped for id_ in ids] == [True, False, False, False]


def test_a_store_beyond_maxmemory_with_data_to_drop_is_ready(client, reviews, worker):
    for n in range(8):
        _review(reviews, worker, n, diff=_diff(n, MIB // 2))
    _fill(client, beyond=-MIB // 2)
    client.config_set("maxmemory", _used(client) - MIB // 2)
    reviews.check()
    assert client.info("memory")["used_memory"] > int(client.config_get("maxmemory")["maxmemory"])
    assert reviews.submit("p", "1.0.0", "3.0.0")[1]
    reviews.check()


@pytest.mark.parametrize("outcome", ["finish", "fail", "retry", "release"])
def test_work_in_hand_is_written_beyond_maxmemory(client, reviews, worker, outcome):
    reviews.submit("p", "1.0.0", "2.0.0")
    reviews.submit("p", "1.0.0", "3.0.0")
    first = worker.claim()
    maxmemory = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", _used(client) // 2)
    with pytest.raises(StoreError) as caught:
        reviews.check()
    assert caught.value.state == "full"
    second = worker.claim()
    assert worker.renew(first)
    assert worker.renew(second)
    arguments = {"finish": (RESULT, _diff(1)), "release": ()}.get(outcome, (FAILURE,))
    assert getattr(worker, outcome)(second, *arguments)
    stored = reviews.get(second.id)
    expected = {"finish": Status.DONE, "fail": Status.FAILED}.get(outcome, Status.QUEUED)
    assert stored.status == expected
    if outcome == "finish":
        assert read_diff(reviews, second.id) == _diff(1), "the newest diff always fits"
    client.config_set("maxmemory", maxmemory)
    assert worker.finish(first, RESULT, "")


def test_the_queue_counts_reviews_that_wait_for_another_attempt(reviews, worker, monkeypatch):
    monkeypatch.setattr(store, "MAX_QUEUED", 2)
    for n in range(2):
        reviews.submit("p", "1.0.0", f"2.0.{n}")
        worker.retry(worker.claim(), FAILURE)
    with pytest.raises(StoreFull, match=r"queue is full \(2 reviews\)"):
        reviews.submit("p", "1.0.0", "3.0.0")


def test_a_store_without_maxmemory_has_the_default_shares(client, reviews, worker):
    client.config_set("maxmemory", 0)
    ids = [_review(reviews, worker, n, diff=_diff(n, 3 * MIB)) for n in range(11)]
    kept = sum(client.strlen(store.diff_key(id_)) for id_ in ids)
    assert kept <= space.DEFAULT_MAXMEMORY * space.DIFFS_SHARE
    assert read_diff(reviews, ids[0]) is None


# --- the store of version 0.2


def _store_as_version_0_2(client: redis.Redis, number: int, diff: str) -> str:
    """Store a finished review with the keys and fields of version 0.2."""
    id_, now_ms = f"{number:016x}", int(time.time() * 1000)
    result = (
        '{"verdict":"pass","risk":0.1,"threshold":0.75,"from_version":"1.0.0",'
        '"to_version":"2.0.0","findings":[],"statistics":{"files_modified":1},"summary":null,'
        '"reasons":[],"summary_missing":"no provider is set","diff_truncated":false}'
    )
    fields = {
        "package": "p", "from": "1.0.0", "to": f"2.0.{number}", "status": "done",
        "created": now_ms + number, "updated": now_ms, "expires": now_ms + 600_000,
        "attempts": 1, "request_id": "r", "result": result, "failure": "",
    }  # fmt: skip
    client.hset(store.review_key(id_), mapping=fields)
    client.set(store.diff_key(id_), diff)
    for key in (store.review_key(id_), store.diff_key(id_)):
        client.expire(key, 600)
    client.set(store._upgrade_key("p", "1.0.0", f"2.0.{number}"), id_, ex=600)
    client.zadd(store.INDEX, {id_: now_ms + number})
    return id_


def test_reviews_of_version_0_2_are_read_and_its_jobs_are_done(client, reviews, worker):
    done = _store_as_version_0_2(client, 1, "--- a\n")
    queued = _store_as_version_0_2(client, 2, "")
    client.hset(store.review_key(queued), mapping={"status": "queued", "attempts": 0, "result": ""})
    client.xgroup_create(store.STREAM, store.GROUP, id="0", mkstream=True)
    client.xadd(store.STREAM, {"id": queued})
    review = reviews.get(done)
    assert (review.status, review.result.verdict, review.diff_dropped) == ("done", "pass", False)
    assert read_diff(reviews, done) == "--- a\n"
    assert [review.id for review in reviews.page(5)[0]] == [queued, done]
    assert reviews.submit("p", "1.0.0", "2.0.1")[1], "it is unknown by which policy it was judged"
    assert worker.claim().id == queued


@pytest.mark.parametrize("is_beyond_maxmemory", [False, True])
@pytest.mark.parametrize("healer", ["submission", "worker"])
def test_a_store_that_version_0_2_filled_heals(
    client, reviews, worker, healer, is_beyond_maxmemory
):
    ids: list[str] = []
    while _used(client) <= 24 * MIB * space.MARK:
        ids.append(_store_as_version_0_2(client, len(ids), _diff(len(ids))))
    if is_beyond_maxmemory:
        client.config_set("maxmemory", int(0.98 * _used(client)))
    reviews.check()
    if healer == "submission":
        assert reviews.submit("p", "1.0.0", "3.0.0")[1]
    else:
        assert worker.claim() is None
    reviews.check()
    assert reviews.get(ids[0]).diff_dropped
    assert read_diff(reviews, ids[-1]) == _diff(len(ids) - 1)
