"""The API's side of the reviews in Redis. The worker's side is ``worker/queue.py``.

A review is stored as a hash. Its job is an entry in a stream, which the workers read as one
consumer group: Redis delivers each entry to one worker, keeps it until that worker acknowledges it,
and lets another worker claim it if the first one is silent for too long. So no job is lost when a
process dies. A job may run twice, but only the worker with the newest lease can write its outcome.

Related keys are written by one Lua script, which Redis runs atomically.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.reviews import Failure, Result, Review, Status

PREFIX = "upgrade-gate"
STREAM = f"{PREFIX}:jobs"
GROUP = "workers"
INDEX = f"{PREFIX}:reviews"  # sorted set: ids of reviews by creation time
CURSOR_PATTERN = "^[0-9]{1,13}-[0-9a-f]{16}$"
FAR_FUTURE_MS = 9_999_999_999_999  # in the year 2286
REVIEW_TTL_SECONDS = 7 * 24 * 3600
MAX_QUEUED = 10_000
STORE_TIMEOUT_SECONDS = 1.5
"""Time limit of connecting, and of each command."""

# Returns the id of the upgrade's review and 1 if it is new, or "" and 0 if the queue is full.
_SUBMIT = """
local upgrade, stream, index = unpack(KEYS)
local prefix, new_id, ttl_seconds, force, now_ms, max_queued, fields = unpack(ARGV)
if force == '0' then
  local existing_id = redis.call('GET', upgrade)
  if existing_id and redis.call('EXISTS', prefix .. ':review:' .. existing_id) == 1 then
    return {existing_id, 0}
  end
end
if redis.call('XLEN', stream) >= tonumber(max_queued) then
  return {'', 0}
end
local review = prefix .. ':review:' .. new_id
for name, value in pairs(cjson.decode(fields)) do
  redis.call('HSET', review, name, value)
end
redis.call('EXPIRE', review, ttl_seconds)
redis.call('SET', upgrade, new_id, 'EX', ttl_seconds)
redis.call('ZREMRANGEBYSCORE', index, '-inf', tonumber(now_ms) - tonumber(ttl_seconds) * 1000)
redis.call('ZADD', index, now_ms, new_id)
redis.call('XADD', stream, '*', 'id', new_id)
return {new_id, 1}
"""


class StoreError(Exception):
    """The store does not answer, or answers with an error."""


class StoreFull(StoreError):
    """The queue has reached `MAX_QUEUED` reviews."""


def connect(url: str) -> redis.Redis:
    """Return a client of the store. It connects at the first command."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=STORE_TIMEOUT_SECONDS,
        socket_connect_timeout=STORE_TIMEOUT_SECONDS,
        health_check_interval=30,  # seconds
        # One retry, because a restart of the store closes connections. The client's default number
        # of retries would block a worker for so long that its heartbeat is overdue.
        retry=Retry(NoBackoff(), 1),
    )


def review_key(review_id: str) -> str:
    """Return the key of a review's hash."""
    return f"{PREFIX}:review:{review_id}"


def diff_key(review_id: str) -> str:
    """Return the key of a review's diff."""
    return f"{PREFIX}:diff:{review_id}"


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

    def __init__(self, client: redis.Redis, *, ttl_seconds: int = REVIEW_TTL_SECONDS) -> None:
        """Use `client`; reviews expire after `ttl_seconds`."""
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._submit_script = client.register_script(_SUBMIT)

    def ping(self) -> None:
        """Raise StoreError if the store does not answer."""
        with store_errors():
            self._client.ping()

    def submit(
        self, package: str, old: str, new: str, *, force: bool = False, request_id: str = ""
    ) -> tuple[Review, bool]:
        """Return the review of an upgrade, and whether it is new.

        Args:
            package: name of the npm package.
            old: version, range or tag in use.
            new: version, range or tag to upgrade to.
            force: create a new review even if one of the same upgrade exists.
            request_id: id of the request, for the worker's log.

        Raises:
            StoreFull: too many reviews are queued.
        """
        new_id = secrets.token_hex(8)
        now_ms = int(time.time() * 1000)
        fields = {
            "package": package, "from": old, "to": new, "status": str(Status.QUEUED),
            "created": str(now_ms), "updated": str(now_ms),
            "expires": str(now_ms + self._ttl_seconds * 1000),
            "attempts": "0", "request_id": request_id,
        }  # fmt: skip
        keys = [_upgrade_key(package, old, new), STREAM, INDEX]
        arguments: list[str | int] = [
            PREFIX, new_id, self._ttl_seconds, int(force), now_ms, MAX_QUEUED, json.dumps(fields),
        ]  # fmt: skip
        with store_errors():
            reply = self._submit_script(keys=keys, args=arguments)
        stored_id, is_new = cast("tuple[str, int]", reply)
        if not stored_id:
            raise StoreFull(f"the queue is full ({MAX_QUEUED} reviews)")
        review = self.get(stored_id)
        if review is None:
            raise StoreError("the review expired while it was submitted")
        return review, bool(is_new)

    def get(self, review_id: str) -> Review | None:
        """Return a review, or None if it does not exist or has expired."""
        with store_errors():
            fields = cast("dict[str, str]", self._client.hgetall(review_key(review_id)))
        return review_from_hash(review_id, fields)

    def diff(self, review_id: str) -> str | None:
        """Return the unified diff of a finished review, or None if it has none."""
        with store_errors():
            return cast("str | None", self._client.get(diff_key(review_id)))

    def page(self, limit: int, before: str | None = None) -> tuple[list[Review], str | None]:
        """Return reviews, the newest first, and the cursor of the next page, if there is one.

        The index may still list expired reviews. They are left out, so a page may be short.

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
                "-inf",
                start=0,
                num=limit + same_millisecond,
                withscores=True,
            ),
        )
        entries = [_IndexEntry(int(score), review_id) for review_id, score in scored_ids]
        return [entry for entry in entries if entry < start][:limit]

    def _load(self, review_ids: list[str]) -> list[Review]:
        """Return the reviews that have not expired."""
        pipeline = self._client.pipeline(transaction=False)
        for review_id in review_ids:
            pipeline.hgetall(review_key(review_id))
        hashes = pipeline.execute()
        reviews = map(review_from_hash, review_ids, hashes)
        return [review for review in reviews if review is not None]


def review_from_hash(review_id: str, fields: Mapping[str, str]) -> Review | None:
    """Return the review with the fields of its hash, or None if the hash is absent."""
    if "package" not in fields:
        return None

    def time_of(name: str) -> datetime:
        return datetime.fromtimestamp(int(fields[name]) / 1000, UTC)

    from_version: dict[str, Any] = {"from": fields["from"]}  # a keyword cannot be an argument
    return Review(
        id=review_id,
        package=fields["package"],
        to=fields["to"],
        status=Status(fields["status"]),
        created=time_of("created"),
        updated=time_of("updated"),
        expires=time_of("expires"),
        attempts=int(fields.get("attempts", 0)),
        dead_letter=fields.get("dead_letter") == "1",
        result=Result.model_validate_json(fields["result"]) if fields.get("result") else None,
        failure=Failure.model_validate_json(fields["failure"]) if fields.get("failure") else None,
        **from_version,
    )


def _upgrade_key(package: str, old: str, new: str) -> str:
    """Return the key of the id of an upgrade's newest review."""
    digest = hashlib.sha256(f"{package}\0{old}\0{new}".encode()).hexdigest()
    return f"{PREFIX}:triple:{digest}"  # running stores have keys with this name


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Raise a Redis client's error as StoreError, without the store's address or password."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreError(type(error).__name__) from None
