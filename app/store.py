"""The API's side of the reviews in Redis. The worker's side is ``worker/queue.py``.

A review is a hash. An entry of a stream is its job. The workers read the stream as one consumer
group: Redis delivers an entry to one worker, keeps it until that worker acknowledges it, and lets
another worker claim it if the first one is silent for too long. So no job is lost when a process
dies. A job may run twice, but only the worker with the newest lease can write its outcome.

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
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.reviews import Failure, Result, Review, Status

PREFIX = "upgrade-gate"
STREAM = f"{PREFIX}:jobs"
GROUP = "workers"
INDEX = f"{PREFIX}:reviews"  # sorted set: ids of reviews by creation time
CURSOR = "^[0-9]{1,13}-[0-9a-f]{16}$"
LATEST = "9" * 13  # milliseconds; the year 2286
TTL_SECONDS = 7 * 24 * 3600
MAX_QUEUED = 10_000
TIMEOUT_SECONDS = 1.5

# KEYS: upgrade, stream, index. ARGV: prefix, id, ttl, force, now (ms), max queued, fields as JSON.
_SUBMIT = """
if ARGV[4] == '0' then
  local known = redis.call('GET', KEYS[1])
  if known and redis.call('EXISTS', ARGV[1] .. ':review:' .. known) == 1 then
    return {known, 0}
  end
end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[6]) then
  return {'', 0}
end
local review = ARGV[1] .. ':review:' .. ARGV[2]
for name, value in pairs(cjson.decode(ARGV[7])) do
  redis.call('HSET', review, name, value)
end
redis.call('EXPIRE', review, ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', tonumber(ARGV[5]) - tonumber(ARGV[3]) * 1000)
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'id', ARGV[2])
return {ARGV[2], 1}
"""


class StoreError(Exception):
    """The store does not answer, or answers with an error."""


class StoreFull(StoreError):
    """The queue has reached `MAX_QUEUED` reviews."""


def connect(url: str) -> redis.Redis:
    """Return a client of the store. It connects at the first command; every command times out."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        health_check_interval=30,
        # One retry, for a connection that a restart of the store closed. The client's default
        # would block a worker for so long that its heartbeat is overdue.
        retry=Retry(NoBackoff(), 1),
    )


def review_key(id_: str) -> str:
    """Return the key of a review's hash."""
    return f"{PREFIX}:review:{id_}"


def diff_key(id_: str) -> str:
    """Return the key of a review's diff."""
    return f"{PREFIX}:diff:{id_}"


class Store:
    """Reviews, as the API reads and submits them. Methods raise StoreError within seconds."""

    def __init__(self, client: redis.Redis, *, ttl: int = TTL_SECONDS) -> None:
        """Use `client`; reviews expire after `ttl` seconds."""
        self._client = client
        self._ttl = ttl
        self._submit = client.register_script(_SUBMIT)

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
        id_ = secrets.token_hex(8)
        now = int(time.time() * 1000)
        fields = {
            "package": package, "from": old, "to": new, "status": str(Status.QUEUED),
            "created": str(now), "updated": str(now), "expires": str(now + self._ttl * 1000),
            "attempts": "0", "request_id": request_id,
        }  # fmt: skip
        keys = [_upgrade_key(package, old, new), STREAM, INDEX]
        with store_errors():
            reply = self._submit(
                keys=keys,
                args=[PREFIX, id_, self._ttl, int(force), now, MAX_QUEUED, json.dumps(fields)],
            )
        id_, created = cast("tuple[str, int]", reply)
        if not id_:
            raise StoreFull(f"the queue is full ({MAX_QUEUED} reviews)")
        review = self.get(id_)
        if review is None:
            raise StoreError("the review expired while it was submitted")
        return review, bool(created)

    def get(self, id_: str) -> Review | None:
        """Return a review, or None if it does not exist or has expired."""
        with store_errors():
            fields = cast("dict[str, str]", self._client.hgetall(review_key(id_)))
        return read(id_, fields)

    def diff(self, id_: str) -> str | None:
        """Return the unified diff of a finished review, or None if it has none."""
        with store_errors():
            return cast("str | None", self._client.get(diff_key(id_)))

    def page(self, limit: int, before: str | None = None) -> tuple[list[Review], str | None]:
        """Return reviews, the newest first, and the cursor of the next page, if there is one.

        A cursor (CURSOR) is a creation time and an id. It stays valid after that review expires.

        Args:
            limit: maximum number of reviews.
            before: cursor of the page; default: the first page.
        """
        last, last_id = (before or f"{LATEST}-").split("-")
        with store_errors():
            # The range starts at the cursor's millisecond, whose reviews may be on earlier pages.
            again = self._client.zcount(INDEX, last, last) if before else 0
            scored = cast(
                "list[tuple[str, float]]",
                self._client.zrevrangebyscore(
                    INDEX, last, "-inf", start=0, num=limit + 1 + again, withscores=True
                ),
            )
            places = [
                (int(score), id_)
                for id_, score in scored
                if not before or (int(score), id_) < (int(last), last_id)
            ]
            pipe = self._client.pipeline(transaction=False)
            for _, id_ in places[:limit]:
                pipe.hgetall(review_key(id_))
            fields = pipe.execute()
        pairs = zip(places, fields, strict=False)
        reviews = [review for (_, id_), f in pairs if (review := read(id_, f))]
        return reviews, "{}-{}".format(*places[limit - 1]) if len(places) > limit else None


def read(id_: str, fields: Mapping[str, str]) -> Review | None:
    """Return the review in the fields of its hash, or None if the hash is absent."""
    if "package" not in fields:
        return None

    def time_of(name: str) -> datetime:
        return datetime.fromtimestamp(int(fields[name]) / 1000, UTC)

    values: dict[str, Any] = {"from": fields["from"]}  # a Python keyword
    return Review(
        id=id_,
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
        **values,
    )


def _upgrade_key(package: str, old: str, new: str) -> str:
    digest = hashlib.sha256(f"{package}\0{old}\0{new}".encode()).hexdigest()
    return f"{PREFIX}:triple:{digest}"


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Raise a client's error as StoreError, without the store's address or password."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreError(type(error).__name__) from None
