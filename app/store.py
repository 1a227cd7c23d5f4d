"""The API's side of the reviews in Redis. The worker's side is ``worker/queue.py``.

A review is stored as a hash. Its job is an entry in a stream, which the workers read as one
consumer group: Redis delivers each entry to one worker, keeps it until that worker acknowledges it,
and lets another worker claim it if the first one is silent for too long. So no job is lost when a
process dies. A job may run twice, but only the worker with the newest lease can write its outcome.

Related keys are written by one Lua script, which Redis runs atomically. What is dropped to make
room: ``app/space.py``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import stored_diff
from app.log import Seldom
from app.npm_names import exact_version
from app.reviews import DamagedReviewError, Review, Status
from app.scripts import CHECK, SUBMIT
from app.space import MAX_QUEUED, MAX_QUEUED_BYTES
from app.store_errors import StoreError, StoreFull, store_errors

if TYPE_CHECKING:
    from redis.commands.core import Script

__all__ = ["Store", "StoreError", "StoreFull", "connect", "store_errors"]

PREFIX = "upgrade-gate"
STREAM = f"{PREFIX}:jobs"
GROUP = "workers"
RETRIES = f"{PREFIX}:later"  # sorted set: ids of reviews by the time of their next attempt
INDEX = f"{PREFIX}:reviews"  # sorted set: ids of reviews by creation time
DIFFS = f"{PREFIX}:diffs"  # window (app/space.py) of the reviews with a diff
ENDED = f"{PREFIX}:ended"  # window of the finished reviews
POLICIES = f"{PREFIX}:policy"  # sorted set: policies (worker/policy.py) by their last use
CURSOR_PATTERN = "^[0-9]{1,13}-[0-9a-f]{16}$"
FAR_FUTURE_MS = 9_999_999_999_999  # in the year 2286
REVIEW_TTL_SECONDS = 7 * 24 * 3600
STORE_TIMEOUT_SECONDS = 1.5
"""Time limit of connecting, and of each command."""
STORE_COMMAND_SECONDS = 3 * STORE_TIMEOUT_SECONDS
"""Longest time of a command: one that is lost, and two attempts to connect again."""
LOST_WRITE_SECONDS = 5.0
"""Time after a lost write until the next check tries one."""
_REVIEW_ID = re.compile("[0-9a-f]{16}")
_CREATED, _REFUSED = 1, 2  # outcomes of SUBMIT
log = logging.getLogger(__name__)
_seldom = Seldom(log)


def connect(url: str) -> redis.Redis:
    """Return a client of the store. It connects at the first command."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        # Stored bytes that are not UTF-8 must damage one review only, not a reply that contains
        # others. Review.from_hash refuses the surrogates.
        encoding_errors="surrogateescape",
        socket_timeout=STORE_TIMEOUT_SECONDS,
        socket_connect_timeout=STORE_TIMEOUT_SECONDS,
        # One retry, because a restart of the store closes connections. The client's default number
        # of retries, or its health check with retries of its own, would block a worker for so long
        # that its heartbeat is overdue.
        retry=Retry(NoBackoff(), 1),
    )


def review_key(review_id: str) -> str:
    """Return the key of a review's hash."""
    return f"{PREFIX}:review:{review_id}"


def diff_key(review_id: str) -> str:
    """Return the key of a review's diff."""
    return f"{PREFIX}:diff:{review_id}"


class StoredDiff(NamedTuple):
    """Diff that the store holds. Its chunks are read from the store when they are needed."""

    size: int
    chunks: Iterator[bytes]


class _IndexEntry(NamedTuple):
    """Entry of the index. Entries sort by creation time, then by id."""

    created_ms: int
    review_id: str

    @classmethod
    def from_cursor(cls, cursor: str) -> Self:
        created_ms, review_id = cursor.split("-")
        return cls(int(created_ms), review_id)

    @property
    def cursor(self) -> str:
        return f"{self.created_ms}-{self.review_id}"


class Store:
    """Reviews in the store. Each method returns, or raises StoreError, within seconds."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        ttl_seconds: int = REVIEW_TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use `client`; reviews expire after `ttl_seconds`; `clock` returns seconds."""
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._lost_write_at: float | None = None
        self._submit_script = client.register_script(SUBMIT)
        self._check_script = client.register_script(CHECK)

    def check(self) -> None:
        """Raise StoreError if the store does not answer, refuses writes or has no more room.

        Checks without a write, unless a submission was lost: a store that ends if it cannot write
        (``appendfsync always`` on a full disk) answers everything else after its restart.
        """
        lost_at = self._lost_write_at
        if lost_at is not None and self._clock() - lost_at < LOST_WRITE_SECONDS:
            with store_errors():
                self._client.ping()
            raise StoreError("lost write", "failing")
        if lost_at is None:
            with store_errors():
                has_room = self._check_script(keys=script_keys(), args=[MAX_QUEUED_BYTES, 0])
        else:
            has_room = self._write(self._check_script, script_keys(), [MAX_QUEUED_BYTES, 1])
        if not has_room:
            raise StoreFull("no room", "full")

    def submit(
        self, package: str, old: str, new: str, *, force: bool = False, request_id: str = ""
    ) -> tuple[Review, bool]:
        """Return a review of an upgrade, and whether it is new.

        An existing review is returned if it is not finished, or if a new one would come out the
        same: it did not fail, `old` and `new` are exact versions, and a worker judges as then.

        Args:
            package: name of the npm package.
            old: version, range or tag in use.
            new: version, range or tag to upgrade to.
            force: create a new review in any case.
            request_id: id of the request, for the worker's log.

        Raises:
            StoreFull: too many reviews are queued, or the store's memory is full.
        """
        new_id = secrets.token_hex(8)
        now_ms = int(time.time() * 1000)
        upgrade = _upgrade_key(package, old, new)
        is_exact = bool(exact_version(old) and exact_version(new))
        fields = {
            "package": package, "from": old, "to": new, "status": str(Status.QUEUED),
            "created": str(now_ms), "updated": str(now_ms),
            "expires": str(now_ms + self._ttl_seconds * 1000),
            "attempts": "0", "request_id": request_id, "upgrade": upgrade,
        }  # fmt: skip
        arguments: list[str | int] = [
            new_id, self._ttl_seconds, int(force), int(is_exact), now_ms, MAX_QUEUED,
            MAX_QUEUED_BYTES, json.dumps(fields),
        ]  # fmt: skip
        reply = self._write(self._submit_script, [*script_keys(), upgrade], arguments)
        stored_id, outcome = cast("tuple[str, int]", reply)
        if outcome == _REFUSED:
            raise _queue_full() if stored_id == "queue" else StoreFull("no room", "full")
        try:
            review = self.get(stored_id)
        except DamagedReviewError:
            if outcome == _CREATED:
                raise
            return self.submit(package, old, new, force=True, request_id=request_id)
        if review is None:
            raise StoreError("the review expired while it was submitted")
        return review, outcome == _CREATED

    def _write(self, script: Script, keys: list[str], arguments: Sequence[str | int]) -> object:
        """Run a script that writes, and note whether the store ended meanwhile."""
        try:
            with store_errors():
                reply = script(keys=keys, args=arguments)
        except StoreError as error:
            if error.state in ("down", "loading"):
                self._lost_write_at = self._clock()
            raise
        self._lost_write_at = None
        return reply

    def get(self, review_id: str) -> Review | None:
        """Return a review, or None if it does not exist, has expired or was dropped.

        Raises:
            DamagedReviewError: its data are invalid.
        """
        (reply,) = self._hashes([review_id])
        return _review(review_id, reply)

    def diff(self, review_id: str) -> StoredDiff | None:
        """Return the unified diff of a finished review, or None if the store does not hold it.

        Raises:
            DamagedReviewError: its data are invalid.
        """

        def read(offset: int) -> bytes:
            return self._diff_part(review_id, offset)

        with store_errors():
            if not self._client.exists(diff_key(review_id)):
                return None
        # Read it twice: its end shows whether it is whole, and then its size is known.
        size = sum(map(len, stored_diff.chunks(read)))
        return StoredDiff(size, _exactly(size, stored_diff.chunks(read)))

    def _diff_part(self, review_id: str, offset: int) -> bytes:
        last = offset + stored_diff.CHUNK_BYTES - 1
        with store_errors():
            try:
                command: Any = self._client.execute_command  # without types
                part = command("GETRANGE", diff_key(review_id), offset, last, NEVER_DECODE=True)
            except redis.ResponseError as error:
                if not _is_wrong_type(error):
                    raise
                raise DamagedReviewError("the key has another type") from None
        return cast("bytes", part)

    def page(self, limit: int, before: str | None = None) -> tuple[list[Review], str | None]:
        """Return reviews, the newest first, and the cursor of the next page, if there is one.

        The index may still list expired reviews. They are left out, so a page may be short. So are
        damaged ones, which are logged.

        A cursor (CURSOR_PATTERN) is a creation time and an id. It stays valid after that review
        expires.

        Args:
            limit: maximum number of reviews.
            before: cursor of the page; default: the first page.
        """
        with store_errors():
            entries = self._index_entries(limit + 1, before)
        listed, more = entries[:limit], entries[limit:]
        reviews = self._load([entry.review_id for entry in listed])
        return reviews, listed[-1].cursor if more else None

    def _index_entries(self, limit: int, before: str | None) -> list[_IndexEntry]:
        """Return at most `limit` entries after the cursor `before`, the newest first."""
        start, same_millisecond = _IndexEntry(FAR_FUTURE_MS, ""), 0
        if before:
            # The range includes the cursor's millisecond, whose reviews may be on earlier pages.
            start = _IndexEntry.from_cursor(before)
            same_millisecond = self._client.zcount(INDEX, start.created_ms, start.created_ms)
        scored_ids = cast(
            "list[tuple[str, float]]",
            self._client.zrevrangebyscore(
                INDEX,
                start.created_ms,
                0,
                start=0,
                num=limit + same_millisecond,
                withscores=True,
            ),
        )
        damaged = [id_ for id_, _ in scored_ids if not _REVIEW_ID.fullmatch(id_)]
        if damaged:  # they would make invalid cursors
            _seldom.warning("damaged ids removed from the index", {"ids": len(damaged)})
            self._client.zrem(INDEX, *damaged)
            return self._index_entries(limit, before)
        entries = [_IndexEntry(int(score), review_id) for review_id, score in scored_ids]
        return [entry for entry in entries if entry < start][:limit]

    def _load(self, review_ids: list[str]) -> list[Review]:
        """Return the reviews that have not expired and are not damaged."""
        reviews = []
        for review_id, reply in zip(review_ids, self._hashes(review_ids), strict=True):
            try:
                reviews.append(_review(review_id, reply))
            except DamagedReviewError as error:
                _seldom.warning("damaged review", {"review": review_id, "error": str(error)})
        return [review for review in reviews if review is not None]

    def _hashes(self, review_ids: list[str]) -> list[object]:
        """Return each review's hash, or the error of reading it."""
        pipeline = self._client.pipeline(transaction=False)
        for review_id in review_ids:
            pipeline.hgetall(review_key(review_id))
        with store_errors():
            replies = cast("list[object]", pipeline.execute(raise_on_error=False))
            for reply in replies:
                if isinstance(reply, redis.ResponseError) and not _is_wrong_type(reply):
                    raise reply
        return replies


def _exactly(size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks; raise DamagedReviewError if the diff was dropped meanwhile."""
    for chunk in chunks:
        size -= len(chunk)
        yield chunk
    if size:
        raise DamagedReviewError("the diff was dropped")


def _review(review_id: str, reply: object) -> Review | None:
    """Return the review that HGETALL replied, or None if there is none."""
    if isinstance(reply, redis.ResponseError):
        raise DamagedReviewError("the key has another type")
    fields = cast("Mapping[str, str]", reply)
    return Review.from_hash(review_id, fields) if fields else None


def _is_wrong_type(error: redis.ResponseError) -> bool:
    return str(error).startswith("WRONGTYPE")


def _queue_full() -> StoreFull:
    detail = f"the queue is full ({MAX_QUEUED} reviews): try later, or start more workers"
    return StoreFull(detail, "full", detail)


def script_keys() -> list[str]:
    """Return the keys of every script, in the order of the scripts' locals."""
    return [DIFFS, ENDED, INDEX, POLICIES, STREAM, RETRIES]


def _upgrade_key(package: str, old: str, new: str) -> str:
    """Return the key of the id of an upgrade's newest review."""
    digest = hashlib.sha256(f"{package}\0{old}\0{new}".encode()).hexdigest()
    return f"{PREFIX}:triple:{digest}"  # running stores have keys with this name
