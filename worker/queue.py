"""The worker's side of the store: claim a job, renew its lease, write its outcome.

A worker that claims a job gets a lease: a random token. Writes without it are rejected. So a
worker that was silent for too long (``docker pause``, a hung machine) loses its job to another
worker and can change nothing.
"""

import json
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import redis

from app.reviews import Failure, Result, Status
from app.store import GROUP, PREFIX, STREAM, diff_key, review_key, store_errors

RETRIES = f"{PREFIX}:later"  # sorted set: ids of reviews by the time of their next attempt
LEASE_SECONDS = 15.0
"""Time that a worker may be silent before another one may claim its job."""
MAX_ATTEMPTS = 8
"""With the delays between them, a registry may be unavailable for about four minutes."""
RETRY_SECONDS = 2.0
"""Delay before the second attempt. It doubles with each attempt."""
MAX_RETRY_SECONDS = 120.0

# KEYS: retries, stream. ARGV: now (ms).
_ENQUEUE_DUE = """
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('XADD', KEYS[2], '*', 'id', id)
end
"""
# KEYS: review. ARGV: lease, now (ms).
_START = """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or status == 'done' or status == 'failed' then
  return {}
end
local attempts = redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HSET', KEYS[1], 'status', 'running', 'lease', ARGV[1], 'updated', ARGV[2])
return redis.call('HGETALL', KEYS[1])
"""
# KEYS: review, stream. ARGV: lease, group, consumer, entry.
_RENEW = """
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[1] then
  return 0
end
redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], 0, ARGV[4], 'JUSTID')
return 1
"""
# KEYS: review, stream, retries, diff. ARGV: lease, group, entry, next attempt (ms; 0: now;
# -1: never), diff, fields as JSON.
_END = """
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'lease')
for name, value in pairs(cjson.decode(ARGV[6])) do
  redis.call('HSET', KEYS[1], name, value)
end
local id = string.match(KEYS[1], '[^:]+$')
if ARGV[4] == '0' then
  redis.call('HINCRBY', KEYS[1], 'attempts', -1)
  redis.call('XADD', KEYS[2], '*', 'id', id)
elseif ARGV[4] ~= '-1' then
  redis.call('ZADD', KEYS[3], ARGV[4], id)
end
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[4], ARGV[5], 'PX', math.max(1, redis.call('PTTL', KEYS[1])))
end
redis.call('XACK', KEYS[2], ARGV[2], ARGV[3])
redis.call('XDEL', KEYS[2], ARGV[3])
return 1
"""


@dataclass(frozen=True)
class Job:
    """A review that this worker has claimed."""

    id: str
    package: str
    old: str
    new: str
    attempt: int
    request_id: str
    entry: str  # id in the stream
    lease: str


class Queue:
    """Client for the queue in the store.

    Each call returns, or raises StoreError, within seconds. A method that writes returns False,
    and changes nothing, if the lease was lost.
    """

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        *,
        lease: float = LEASE_SECONDS,
        max_attempts: int = MAX_ATTEMPTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Register the scripts.

        Args:
            client: connection to Redis.
            name: this worker's name; each worker has another.
            lease: seconds that other workers may be silent.
            max_attempts: attempts before a job becomes a dead letter.
            clock: seconds since the epoch.
        """
        self._client = client
        self._name = name
        self._lease_ms = int(lease * 1000)
        self._max_attempts = max_attempts
        self._clock = clock
        self._scripts = {
            text: client.register_script(text) for text in (_ENQUEUE_DUE, _START, _RENEW, _END)
        }

    def claim(self) -> Job | None:
        """Claim the next review and mark it as running; return None if none is waiting.

        Jobs of workers that were silent for longer than their lease come first.
        """
        with store_errors():
            self._run(_ENQUEUE_DUE, [RETRIES, STREAM], self._now())
            try:
                return self._claim_first()
            except redis.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            self._create_group()
            return self._claim_first()

    def renew(self, job: Job) -> bool:
        """Renew the lease; return False if another worker has claimed the job."""
        with store_errors():
            keys = [review_key(job.id), STREAM]
            return bool(self._run(_RENEW, keys, job.lease, GROUP, self._name, job.entry))

    def finish(self, job: Job, result: Result, diff: str) -> bool:
        """Write the result."""
        fields = {"status": str(Status.DONE), "result": result.model_dump_json(), "failure": ""}
        return self._end(job, fields, next_attempt=-1, diff=diff)

    def fail(self, job: Job, failure: Failure, *, dead: bool = False) -> bool:
        """Write that the review failed; `dead` means after too many attempts."""
        fields = {
            "status": str(Status.FAILED),
            "failure": failure.model_dump_json(),
            "dead_letter": str(int(dead)),
        }
        return self._end(job, fields, next_attempt=-1)

    def retry(self, job: Job, failure: Failure) -> bool:
        """Schedule another attempt after a growing delay, or fail after the last attempt."""
        if job.attempt >= self._max_attempts:
            return self.fail(job, failure, dead=True)
        delay = min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2 ** (job.attempt - 1))
        # Jitter: jobs that failed together do not return together.
        next_attempt = self._now() + int(1000 * delay * random.uniform(0.75, 1.25))  # noqa: S311
        fields = {"status": str(Status.QUEUED), "failure": failure.model_dump_json()}
        return self._end(job, fields, next_attempt=next_attempt)

    def release(self, job: Job) -> bool:
        """Queue the job again at once, because this worker stops. No attempt is counted."""
        return self._end(job, {"status": str(Status.QUEUED)}, next_attempt=0)

    def _create_group(self) -> None:
        """Create the consumer group of a new store."""
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another worker has created it
                raise

    def _claim_first(self) -> Job | None:
        while entry := self._next_entry():
            if job := self._start(*entry):
                return job
        return None

    def _next_entry(self) -> tuple[str, str] | None:
        """Return an entry and its review's id: an abandoned one, else a new one."""
        idle = self._client.xautoclaim(STREAM, GROUP, self._name, self._lease_ms, "0-0", count=1)
        for entry, fields in idle[1]:
            return entry, fields["id"]
        new = cast("list[Any]", self._client.xreadgroup(GROUP, self._name, {STREAM: ">"}, 1))
        for _, entries in new or ():
            for entry, fields in entries:
                return entry, fields["id"]
        return None

    def _start(self, entry: str, id_: str) -> Job | None:
        lease = secrets.token_hex(8)
        answer = self._run(_START, [review_key(id_)], lease, self._now())
        if not answer:  # expired or ended: a worker died between its write and its XACK
            self._client.xack(STREAM, GROUP, entry)
            self._client.xdel(STREAM, entry)
            return None
        words = cast("list[str]", answer)
        fields = dict(zip(words[::2], words[1::2], strict=True))
        job = Job(
            id=id_,
            package=fields["package"],
            old=fields["from"],
            new=fields["to"],
            attempt=int(fields["attempts"]),
            request_id=fields.get("request_id", ""),
            entry=entry,
            lease=lease,
        )
        if job.attempt > self._max_attempts:  # every attempt killed its worker
            message = f"all {self._max_attempts} attempts ended without an outcome"
            self.fail(job, Failure(code="abandoned", message=message), dead=True)
            return None
        return job

    def _end(self, job: Job, fields: dict[str, str], *, next_attempt: int, diff: str = "") -> bool:
        text = json.dumps({**fields, "updated": str(self._now())})
        keys = [review_key(job.id), STREAM, RETRIES, diff_key(job.id)]
        arguments = (job.lease, GROUP, job.entry, next_attempt, diff, text)
        with store_errors():
            return bool(self._run(_END, keys, *arguments))

    def _run(self, script: str, keys: list[str], *arguments: str | int) -> object:
        return self._scripts[script](keys=keys, args=list(arguments))

    def _now(self) -> int:
        return int(self._clock() * 1000)
