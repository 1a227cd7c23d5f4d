"""The reviews in Redis: what the API asks of them. The worker's side is ``worker/queue.py``.

A review is a hash. It is announced by an entry of a stream, which a group of workers reads: Redis
hands an entry to one of them, keeps it until that one acknowledges, and lets another claim it when
its holder has been silent for too long. So a job is lost with no process, only done twice; and
what is written in the end is written once, by whoever holds the newest lease.

What belongs together is written by one script, which Redis runs whole or not at all.
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
INDEX = f"{PREFIX}:reviews"  # every review's id, by when it was made
CURSOR = "^[0-9]{1,13}-[0-9a-f]{16}$"
LATEST = "9" * 13  # milliseconds; the year 2286
TTL_SECONDS = 7 * 24 * 3600
MOST_QUEUED = 10_000
TIMEOUT_SECONDS = 1.5

# KEYS: triple, stream, index. ARGV: prefix, id, ttl, force, now (ms), most queued, fields as JSON.
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
    """The store does not answer, or refuses."""


class StoreFull(StoreError):
    """So many reviews wait that no more are taken."""


def connect(url: str) -> redis.Redis:
    """A client of the store; opens no connection yet. Each command answers or raises in seconds."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        health_check_interval=30,
        # One, for a connection that the store closed when it was started anew. The client's own
        # default would hold a worker for so long that its heartbeat is overdue.
        retry=Retry(NoBackoff(), 1),
    )


def review_key(id_: str) -> str:
    """Where a review's fields are."""
    return f"{PREFIX}:review:{id_}"


def diff_key(id_: str) -> str:
    """Where the text of its diff is."""
    return f"{PREFIX}:diff:{id_}"


class Store:
    """What the API asks. Every method answers or raises StoreError within seconds."""

    def __init__(self, client: redis.Redis, *, ttl: int = TTL_SECONDS) -> None:
        """Keep the client; `ttl`: seconds after which a review is forgotten."""
        self._client = client
        self._ttl = ttl
        self._submit = client.register_script(_SUBMIT)

    def ping(self) -> None:
        """Return when the store can be used."""
        with answering():
            self._client.ping()

    def submit(
        self, package: str, old: str, new: str, *, force: bool = False, request_id: str = ""
    ) -> tuple[Review, bool]:
        """The review of that upgrade, and whether it was made now: the same is not made twice.

        Raises:
            StoreFull: too many wait already.
        """
        id_ = secrets.token_hex(8)
        now = int(time.time() * 1000)
        fields = {
            "package": package, "from": old, "to": new, "status": str(Status.QUEUED),
            "created": str(now), "updated": str(now), "expires": str(now + self._ttl * 1000),
            "attempts": "0", "request_id": request_id,
        }  # fmt: skip
        keys = [_triple(package, old, new), STREAM, INDEX]
        with answering():
            answer = self._submit(
                keys=keys,
                args=[PREFIX, id_, self._ttl, int(force), now, MOST_QUEUED, json.dumps(fields)],
            )
        known, made = cast("tuple[str, int]", answer)
        if not known:
            raise StoreFull(f"{MOST_QUEUED} reviews wait already")
        review = self.get(known)
        if review is None:
            raise StoreError("the review expired while it was asked for")
        return review, bool(made)

    def get(self, id_: str) -> Review | None:
        """A review; None: there is none of that id, or it expired."""
        with answering():
            fields = cast("dict[str, str]", self._client.hgetall(review_key(id_)))
        return read(id_, fields)

    def diff(self, id_: str) -> str | None:
        """The unified diff of a finished review."""
        with answering():
            return cast("str | None", self._client.get(diff_key(id_)))

    def page(self, limit: int, before: str | None = None) -> tuple[list[Review], str | None]:
        """Reviews, the newest first, and the cursor of the next page; None: there is none.

        A cursor is a place in time (CURSOR), good also when the review that stood there expired.
        """
        last, last_id = (before or f"{LATEST}-").split("-")
        with answering():
            # Those of the cursor's very millisecond come again; the ones behind it are passed over.
            again = self._client.zcount(INDEX, last, last) if before else 0
            found = cast(
                "list[tuple[str, float]]",
                self._client.zrevrangebyscore(
                    INDEX, last, "-inf", start=0, num=limit + 1 + again, withscores=True
                ),
            )
            places = [
                (int(score), id_)
                for id_, score in found
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
    """A review out of the fields of its hash."""
    if "package" not in fields:
        return None

    def moment(name: str) -> datetime:
        return datetime.fromtimestamp(int(fields[name]) / 1000, UTC)

    values: dict[str, Any] = {"from": fields["from"]}  # a keyword of Python
    return Review(
        id=id_,
        package=fields["package"],
        to=fields["to"],
        status=Status(fields["status"]),
        created=moment("created"),
        updated=moment("updated"),
        expires=moment("expires"),
        attempts=int(fields.get("attempts", 0)),
        dead_letter=fields.get("dead_letter") == "1",
        result=Result.model_validate_json(fields["result"]) if fields.get("result") else None,
        failure=Failure.model_validate_json(fields["failure"]) if fields.get("failure") else None,
        **values,
    )


def _triple(package: str, old: str, new: str) -> str:
    digest = hashlib.sha256(f"{package}\0{old}\0{new}".encode()).hexdigest()
    return f"{PREFIX}:triple:{digest}"


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turns whatever the client raises into a StoreError, without its address or password."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreError(type(error).__name__) from None
