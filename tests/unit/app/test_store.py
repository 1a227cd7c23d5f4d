"""Tests of app.store: submit, read, list and expire reviews."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
import redis

from app import store
from app.reviews import DamagedReviewError, Failure, Finding, Result, Status
from app.store import Store, StoreError, StoreFull, connect
from tests.support.stored_diffs import read_diff
from worker.heartbeat import MAX_SILENCE_SECONDS
from worker.queue import Queue
from worker.scripts import POLICY_SECONDS

UPGRADE = ("left-pad", "1.2.0", "1.3.0")


@pytest.fixture
def reviews(client) -> Store:
    return Store(client)


def test_submitted_review_is_queued(reviews):
    review, created = reviews.submit(*UPGRADE)
    assert created
    assert (review.package, review.from_, review.to) == UPGRADE
    assert (review.status, review.attempts, review.dead_letter) == (Status.QUEUED, 0, False)
    assert review.result is review.failure is None
    assert review.created == review.updated < review.expires
    assert reviews.get(review.id) == review


def test_same_upgrade_returns_the_same_review_and_adds_no_job(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    assert reviews.submit(*UPGRADE) == (first, False)
    assert client.xlen(store.STREAM) == 1


def test_forced_review_replaces_the_existing_one(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    second, created = reviews.submit(*UPGRADE, force=True)
    assert created
    assert second.id != first.id
    assert reviews.submit(*UPGRADE)[0].id == second.id
    assert reviews.get(first.id) == first
    assert client.xlen(store.STREAM) == 2


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_submission_that_is_sent_twice_changes_nothing(
    reviews, client, monkeypatch, force, is_done
):
    """The client resends a submission whose reply was lost."""
    script = reviews._submit_script

    def send_twice(**arguments: object) -> object:
        script(**arguments)
        if is_done:
            _finish(client)
        return script(**arguments)

    monkeypatch.setattr(reviews, "_submit_script", send_twice)
    review, _ = reviews.submit(*UPGRADE, force=force)
    assert review.status == (Status.DONE if is_done else Status.QUEUED)
    assert client.xlen(store.STREAM) == (0 if is_done else 1)
    assert client.zcard(store.INDEX) == 1


# --- which review is the answer to a second submission

RESULT = Result(verdict="pass", risk=0.1, threshold=0.75, from_version="1.2.0", to_version="1.3.0")
FRESH = Finding(signal="version.fresh", path="", weight=0.18, text="published 3 hours ago")


def _finish(client, policy: str = "default", **changes: object) -> None:
    worker = Queue(client, "worker", policy=policy)
    assert worker.finish(worker.claim(), RESULT.model_copy(update=changes), "")


@pytest.mark.parametrize("upgrade", [UPGRADE, ("p", "^1.0.0", "latest"), ("p", "1.0.0", "next")])
@pytest.mark.parametrize("is_running", [False, True])
def test_unfinished_review_is_the_answer_for_versions_ranges_and_tags(
    reviews, client, upgrade, is_running
):
    first, _ = reviews.submit(*upgrade)
    if is_running:
        Queue(client, "worker").claim()
    assert reviews.submit(*upgrade)[0].id == first.id


@pytest.mark.parametrize(
    ("old", "new", "is_answer"),
    [
        ("1.2.0", "1.3.0", True), ("v1.2.0", "=1.3.0", True), ("1.2.0-rc.1", "1.3.0+b.1", True),
        ("1.2.0", "latest", False), ("^1.2.0", "1.3.0", False), ("1.2.0", "1.3", False),
        ("1.2.0", "1.x", False), ("1.2.0", "*", False), ("1.2.0", "01.3.0", False),
        ("1.2.0", "9999999999999999.0.0", False), ("1.2.0 || 2.0.0", "3.0.0", False),
        ("1.2.0", "1.3.0 ", False),
    ],
)  # fmt: skip
def test_finished_review_is_the_answer_for_exact_versions_only(
    reviews, client, old, new, is_answer
):
    first, _ = reviews.submit("p", old, new)
    _finish(client)
    assert (reviews.submit("p", old, new)[0].id == first.id) == is_answer


@pytest.mark.parametrize("dead_letter", [False, True])
def test_failed_review_is_no_answer(reviews, client, dead_letter):
    first, _ = reviews.submit(*UPGRADE)
    worker = Queue(client, "worker")
    worker.fail(worker.claim(), Failure(code="x", message="x"), dead_letter=dead_letter)
    second, created = reviews.submit(*UPGRADE)
    assert created
    assert second.id != first.id


def test_finished_review_is_no_answer_after_the_workers_policy_changed(reviews, client):
    reviews.submit(*UPGRADE)
    _finish(client, policy="threshold 0.5")
    assert not reviews.submit(*UPGRADE)[1]
    later = time.time() + POLICY_SECONDS + 1
    Queue(client, "worker", policy="threshold 0.6", clock=lambda: later).claim()  # an update
    assert reviews.submit(*UPGRADE)[1]


def test_finished_review_is_the_answer_while_workers_have_different_policies(reviews, client):
    """Only workers that are alive count: one that is busy renews its lease."""
    now = [time.time()]
    workers = [
        Queue(client, name, lease_seconds=3600, policy=name, clock=lambda: now[0])
        for name in ("a", "b", "c")
    ]
    reviews.submit("busy", "^1.0.0", "latest")
    job = workers[2].claim()
    reviews.submit(*UPGRADE)
    assert workers[0].finish(workers[0].claim(), RESULT, "")
    for now[0] in (now[0] + 5 * n for n in range(20)):
        assert workers[1].claim() is workers[0].claim() is None
        assert workers[2].renew(job)
        assert not reviews.submit(*UPGRADE)[1]
    assert set(client.zrange(store.POLICIES, 0, -1)) == {"a", "b", "c"}


def test_finished_review_is_the_answer_while_no_worker_runs(reviews, client):
    reviews.submit(*UPGRADE)
    _finish(client)
    client.zadd(store.POLICIES, {"default": 1})  # long ago
    assert not reviews.submit(*UPGRADE)[1]


def test_idle_worker_writes_its_policy_seldom(client):
    worker = Queue(client, "worker", clock=lambda: 1_800_000_000.0)
    worker.claim()
    before = client.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(5):
        worker.claim()
    assert client.info("persistence")["rdb_changes_since_last_save"] == before


@pytest.mark.parametrize(
    ("changes", "is_answer"),
    [
        ({"findings": (FRESH,)}, False),
        ({"summary_missing": "the provider took too long"}, False),
        ({"summary_missing": "no provider is set"}, True),
        ({"summary": "harmless"}, True),
    ],
)
def test_result_that_would_differ_tomorrow_is_no_answer(reviews, client, changes, is_answer):
    reviews.submit(*UPGRADE)
    _finish(client, **changes)
    assert reviews.submit(*UPGRADE)[1] != is_answer


@pytest.mark.parametrize(
    "other",
    [("left-pad", "1.2.0", "1.3.1"), ("left-pad", "1.2.0\0", "1.3.0"), ("left", "-pad1.2.0", "")],
)
def test_different_upgrades_are_different_reviews(reviews, other):
    assert reviews.submit(*UPGRADE)[0].id != reviews.submit(*other)[0].id


def test_expired_review_is_created_again(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    client.delete(store.review_key(first.id))
    second, created = reviews.submit(*UPGRADE)
    assert created
    assert second.id != first.id


def test_all_keys_of_a_review_expire(reviews, client):
    reviews.submit(*UPGRADE)
    permanent = {key for key in client.scan_iter() if client.ttl(key) == -1}
    assert permanent == {store.STREAM, store.INDEX}


def test_index_drops_expired_reviews(client):
    short_lived = Store(client, ttl_seconds=1)
    old, _ = short_lived.submit(*UPGRADE)
    client.zadd(store.INDEX, {old.id: 0})  # created in 1970
    new, _ = short_lived.submit(*UPGRADE, force=True)
    assert client.zrange(store.INDEX, 0, -1) == [new.id]


def test_full_queue_rejects_new_reviews_only(reviews, client, monkeypatch):
    monkeypatch.setattr(store, "MAX_QUEUED", 1)
    existing, _ = reviews.submit(*UPGRADE)
    with pytest.raises(StoreFull, match=r"queue is full \(1 reviews\)"):
        reviews.submit("other", "1.0.0", "2.0.0")
    assert reviews.submit(*UPGRADE) == (existing, False)
    assert client.zcard(store.INDEX) == 1


def _submit(reviews: Store, count: int) -> list[str]:
    return [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(count)]


def _pages(reviews: Store, limit: int) -> Iterator[list[str]]:
    """Yield the ids of each page."""
    page, cursor = reviews.page(limit)
    yield [review.id for review in page]
    while cursor:
        page, cursor = reviews.page(limit, cursor)
        yield [review.id for review in page]


def test_pages_contain_each_review_once_while_others_are_submitted(reviews):
    created = _submit(reviews, 7)
    pages = []
    for page in _pages(reviews, 3):
        pages.append(page)
        reviews.submit("q", "1.0.0", f"1.0.{len(pages)}")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(id_ for page in pages for id_ in page) == sorted(created)


def test_reviews_are_listed_from_newest_to_oldest(reviews, client):
    created = _submit(reviews, 3)
    client.zadd(store.INDEX, {id_: n for n, id_ in enumerate(created)})
    assert [review.id for review in reviews.page(3)[0]] == created[::-1]


def test_page_omits_expired_reviews(reviews, client):
    expired, current = _submit(reviews, 2)
    client.delete(store.review_key(expired))
    assert [review.id for review in reviews.page(5)[0]] == [current]


def test_cursor_stays_valid_after_its_review_expires(reviews, client):
    created = _submit(reviews, 4)
    for n, id_ in enumerate(created):
        client.zadd(store.INDEX, {id_: 1_700_000_000_000 + n})
    _, cursor = reviews.page(2)
    client.zrem(store.INDEX, created[2])
    assert [review.id for review in reviews.page(5, cursor)[0]] == [created[1], created[0]]


def test_pages_contain_each_review_of_one_millisecond_once(reviews, client):
    created = _submit(reviews, 7)
    client.zadd(store.INDEX, dict.fromkeys(created, 1_700_000_000_000))
    assert sorted(id_ for page in _pages(reviews, 2) for id_ in page) == sorted(created)


def test_absent_review_and_diff_are_none(reviews):
    assert reviews.get("0" * 16) is None
    assert read_diff(reviews, "0" * 16) is None


def test_unreachable_store_raises_store_error_without_its_address():
    unreachable = Store(connect("redis://:s3cret@127.0.0.1:1/0"))
    for command in (
        unreachable.check,
        lambda: unreachable.submit(*UPGRADE),
        lambda: unreachable.get("x"),
        lambda: unreachable.page(3),
    ):
        with pytest.raises(StoreError) as caught:
            command()
        assert "s3cret" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None


# --- damaged data


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "lost"}, {"created": "yesterday"}, {"expires": "9" * 30}, {"updated": "-" * 3},
        {"attempts": "x"}, {"package": b"\xff"}, {"to": b"1.0.\xc3"}, {"result": "{"},
        {"result": b'{"verdict": "pass\xff"}'}, {"result": '{"verdict": "maybe"}'},
        {"failure": "[]"}, {"request_id": b"\x80"}, {"created": "nan"}, {"foreign": b"\xfe\xff"},
    ],
)  # fmt: skip
def test_damaged_review_is_left_out_of_its_page_and_logged(reviews, client, caplog, damage):
    damaged, sound = _submit(reviews, 2)
    client.hset(store.review_key(damaged), mapping=damage)
    assert [review.id for review in reviews.page(5)[0]] == [sound]
    assert [record.review for record in caplog.records] == [damaged]
    with pytest.raises(DamagedReviewError):
        reviews.get(damaged)


@pytest.mark.parametrize("field", ["package", "from", "to", "status", "created", "expires"])
def test_review_without_a_field_is_damaged(reviews, client, field):
    (damaged,) = _submit(reviews, 1)
    client.hdel(store.review_key(damaged), field)
    assert reviews.page(5)[0] == []
    with pytest.raises(DamagedReviewError):
        reviews.get(damaged)


def test_key_of_another_type_is_a_damaged_review_or_diff(reviews, client):
    damaged, sound = _submit(reviews, 2)
    client.delete(store.review_key(damaged))
    client.lpush(store.review_key(damaged), "x")
    client.lpush(store.diff_key(sound), "x")
    assert [review.id for review in reviews.page(5)[0]] == [sound]
    with pytest.raises(DamagedReviewError):
        reviews.get(damaged)
    with pytest.raises(DamagedReviewError):
        read_diff(reviews, sound)


@pytest.mark.parametrize("stored", [b"\xff\xfe", b"\x1f\x8b broken", b"\x1f\x8b"])
def test_damaged_diff_is_reported(reviews, client, stored):
    (id_,) = _submit(reviews, 1)
    client.set(store.diff_key(id_), stored)
    with pytest.raises(DamagedReviewError):
        read_diff(reviews, id_)


@pytest.mark.parametrize("damage", [{"status": "lost"}, {"status": "queued", "attempts": "x"}])
def test_damaged_review_is_no_answer_to_a_submission(reviews, client, damage):
    first, _ = reviews.submit(*UPGRADE)
    client.hset(store.review_key(first.id), mapping=damage)
    second, created = reviews.submit(*UPGRADE)
    assert created
    assert second.id != first.id


@pytest.mark.parametrize("kind", ["review", "upgrade"])
def test_key_of_another_type_does_not_prevent_a_submission(reviews, client, kind):
    first, _ = reviews.submit(*UPGRADE)
    key = store.review_key(first.id) if kind == "review" else store._upgrade_key(*UPGRADE)
    client.delete(key)
    client.lpush(key, "x")
    assert reviews.submit(*UPGRADE)[1]


SHARED_KEYS = [store.STREAM, store.INDEX, store.RETRIES, store.ENDED, store.DIFFS, store.POLICIES]


@pytest.mark.parametrize("key", SHARED_KEYS)
@pytest.mark.parametrize("healer", ["check", "submit", "claim", "finish"])
def test_key_that_another_type_replaced_is_built_again(reviews, client, key, healer):
    worker = Queue(client, "worker")
    ids = _submit(reviews, 4)
    assert worker.finish(worker.claim(), RESULT, "--- a\n")
    worker.retry(worker.claim(), Failure(code="x", message="x"))
    running = worker.claim()
    client.delete(key)
    client.set(key, "x") if key != store.POLICIES else client.lpush(key, "x")
    steps = {
        "check": reviews.check,
        "submit": lambda: reviews.submit(*UPGRADE, force=True),
        "claim": worker.claim,
        "finish": lambda: worker.finish(running, RESULT, "--- b\n"),
    }
    steps[healer]()
    reviews.check()
    later = Queue(client, "later", lease_seconds=0, clock=lambda: time.time() + 60)
    while job := later.claim():
        assert later.finish(job, RESULT, "")
    assert all(reviews.get(id_).status == Status.DONE for id_ in ids)
    assert read_diff(reviews, ids[0]) == "--- a\n"
    assert {id_ for page in _pages(reviews, 3) for id_ in page} >= set(ids)
    assert set(client.zrange(store.ENDED, 0, -1)) >= set(ids)
    assert ids[0] in client.zrange(store.DIFFS, 0, -1)
    assert reviews.submit("other", "1.0.0", "1.0.1")[1]


def test_damaged_ids_in_the_index_do_not_end_the_pages(reviews, client):
    created = _submit(reviews, 3)
    client.zadd(store.INDEX, {id_: 1000 + n for n, id_ in enumerate(created)})
    client.zadd(
        store.INDEX, {b"\xff\xfe": 1001, "x" * 99: 1002, "": 1001, "y": "-inf", "z": "+inf"}
    )
    assert sorted(id_ for page in _pages(reviews, 1) for id_ in page) == sorted(created)


def _messages_until_a_command_fails(client: redis.Redis, server: socket.socket) -> int:
    """Return the number of messages that a silent server got: each cost the client a timeout."""
    with pytest.raises(redis.exceptions.TimeoutError):
        client.ping()
    server.setblocking(False)
    messages = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            with server.accept()[0] as connection:
                messages += bool(connection.recv(1000))
    return messages


def test_a_silent_store_costs_no_more_timeouts_than_the_workers_deadlines_allow(monkeypatch):
    monkeypatch.setattr(store, "STORE_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = connect(f"redis://127.0.0.1:{server.getsockname()[1]}")
        assert _messages_until_a_command_fails(client, server) == 2
    assert store.STORE_COMMAND_SECONDS < MAX_SILENCE_SECONDS
