"""Tests of app.store: submit, read, list and expire reviews."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app import store
from app.reviews import Status
from app.store import Store, StoreError, StoreFull, connect

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
    assert reviews.diff("0" * 16) is None


def test_unreachable_store_raises_store_error_without_its_address():
    unreachable = Store(connect("redis://:s3cret@127.0.0.1:1/0"))
    for command in (
        unreachable.ping,
        lambda: unreachable.submit(*UPGRADE),
        lambda: unreachable.get("x"),
        lambda: unreachable.page(3),
    ):
        with pytest.raises(StoreError) as caught:
            command()
        assert "s3cret" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None
