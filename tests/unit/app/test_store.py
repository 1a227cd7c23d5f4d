"""app.store: reviews are made once, found again, listed, and forgotten."""

from __future__ import annotations

import pytest

from app import store
from app.reviews import Status
from app.store import Store, StoreError, StoreFull, connect

UPGRADE = ("left-pad", "1.2.0", "1.3.0")


@pytest.fixture
def reviews(client) -> Store:
    return Store(client)


def test_a_review_is_made_and_waits(reviews):
    review, made = reviews.submit(*UPGRADE)
    assert made
    assert (review.package, review.from_, review.to) == UPGRADE
    assert (review.status, review.attempts, review.dead_letter) == (Status.QUEUED, 0, False)
    assert review.result is review.failure is None
    assert review.created == review.updated < review.expires
    assert reviews.get(review.id) == review


def test_the_same_upgrade_is_the_same_review_and_one_job(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    assert reviews.submit(*UPGRADE) == (first, False)
    assert client.xlen(store.STREAM) == 1


def test_a_review_may_be_forced_and_is_the_one_that_is_found_from_then_on(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    second, made = reviews.submit(*UPGRADE, force=True)
    assert made
    assert second.id != first.id
    assert reviews.submit(*UPGRADE)[0].id == second.id
    assert reviews.get(first.id) == first
    assert client.xlen(store.STREAM) == 2


@pytest.mark.parametrize(
    "other",
    [("left-pad", "1.2.0", "1.3.1"), ("left-pad", "1.2.0\0", "1.3.0"), ("left", "-pad1.2.0", "")],
)
def test_another_upgrade_is_another_review(reviews, other):
    assert reviews.submit(*UPGRADE)[0].id != reviews.submit(*other)[0].id


def test_a_review_that_expired_is_made_anew(reviews, client):
    first, _ = reviews.submit(*UPGRADE)
    client.delete(store.review_key(first.id))
    second, made = reviews.submit(*UPGRADE)
    assert made
    assert second.id != first.id


def test_everything_that_is_written_expires(reviews, client):
    reviews.submit(*UPGRADE)
    lasting = {key for key in client.scan_iter() if client.ttl(key) == -1}
    assert lasting == {store.STREAM, store.INDEX}


def test_the_index_forgets_with_the_reviews(client):
    brief = Store(client, ttl=1)
    old, _ = brief.submit(*UPGRADE)
    client.zadd(store.INDEX, {old.id: 0})  # made in 1970
    new, _ = brief.submit(*UPGRADE, force=True)
    assert client.zrange(store.INDEX, 0, -1) == [new.id]


def test_a_full_queue_takes_no_more(reviews, client, monkeypatch):
    monkeypatch.setattr(store, "MAX_QUEUED", 1)
    known, _ = reviews.submit(*UPGRADE)
    with pytest.raises(StoreFull, match="queue is full .1 reviews"):
        reviews.submit("other", "1.0.0", "2.0.0")
    assert reviews.submit(*UPGRADE) == (known, False)  # what is there is still found
    assert client.zcard(store.INDEX) == 1


def test_pages_go_from_the_newest_to_the_oldest_and_each_review_comes_once(reviews):
    made = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(7)]
    seen, cursor = [], None
    while True:
        page, cursor = reviews.page(3, cursor)
        seen += [review.id for review in page]
        reviews.submit("q", "1.0.0", f"1.0.{len(seen)}")  # what comes meanwhile is on no later page
        if cursor is None:
            break
        assert len(page) == 3
    assert sorted(seen) == sorted(made)


def test_pages_go_by_time(reviews, client):
    made = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(3)]
    client.zadd(store.INDEX, {id_: n for n, id_ in enumerate(made)})
    assert [review.id for review in reviews.page(3)[0]] == made[::-1]


def test_a_page_passes_over_what_expired(reviews, client):
    gone, kept = (reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(2))
    client.delete(store.review_key(gone))
    assert [review.id for review in reviews.page(5)[0]] == [kept]


def test_a_cursor_is_good_when_its_review_expired(reviews, client):
    made = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(4)]
    for when, id_ in enumerate(made):
        client.zadd(store.INDEX, {id_: 1_700_000_000_000 + when})
    _, cursor = reviews.page(2)
    client.zrem(store.INDEX, made[2])
    assert [review.id for review in reviews.page(5, cursor)[0]] == [made[1], made[0]]


def test_reviews_of_one_millisecond_come_once_each(reviews, client):
    made = [reviews.submit("p", "1.0.0", f"1.0.{n}")[0].id for n in range(7)]
    client.zadd(store.INDEX, dict.fromkeys(made, 1_700_000_000_000))
    seen, cursor = [], None
    while True:
        page, cursor = reviews.page(2, cursor)
        seen += [review.id for review in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)


def test_what_is_not_there_is_none(reviews):
    assert reviews.get("0" * 16) is None
    assert reviews.diff("0" * 16) is None


def test_a_store_that_is_away_is_one_kind_of_error_without_its_address():
    away = Store(connect("redis://:s3cret@127.0.0.1:1/0"))
    for ask in (away.ping, lambda: away.submit(*UPGRADE), lambda: away.get("x"), away.page):
        with pytest.raises(StoreError) as caught:
            ask(3) if ask == away.page else ask()
        assert "s3cret" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None
