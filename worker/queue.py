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
from typing import cast

import redis

from app.reviews import Failure, Result, Status
from app.store import GROUP, PREFIX, STREAM, diff_key, review_key, store_errors

RETRIES = f"{PREFIX}:later"  # sorted set: ids of reviews by the time of their next attempt
LEASE_SECONDS = 15.0
"""Time for which a worker may be silent before another one claims its job."""
MAX_ATTEMPTS = 8
"""Attempts span about four minutes, so a shorter outage of the registry fails no review."""
FIRST_DELAY_SECONDS = 2.0
"""Delay before the second attempt. Each further delay is twice as long."""
MAX_DELAY_SECONDS = 120.0
JITTER = 0.25
"""Random change of a delay, at most this part of it: failed jobs do not all return together."""
# Values of next_attempt, which is else a time in ms. The script _END compares them.
AT_ONCE = "at once"
NEVER = "never"

_Entries = list[tuple[str, dict[str, str]]]  # ids, and fields
_Streams = list[tuple[str, _Entries]]  # names, and entries

# Queues at most 100 jobs whose next attempt is due.
_ENQUEUE_DUE = """
local retries, stream = unpack(KEYS)
local now_ms = unpack(ARGV)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', retries, '-inf', now_ms, 'LIMIT', 0, 100)) do
  redis.call('ZREM', retries, id)
  redis.call('XADD', stream, '*', 'id', id)
end
"""
# Starts an attempt. Returns the review's hash, or nothing if the review has expired or ended. One
# that has ended can have a second entry: the client resends a submission whose reply was lost.
_START = """
local review = unpack(KEYS)
local lease_token, now_ms = unpack(ARGV)
local status = redis.call('HGET', review, 'status')
if not status or status == 'done' or status == 'failed' then
  return {}
end
redis.call('HINCRBY', review, 'attempts', 1)
redis.call('HSET', review, 'status', 'running', 'lease', lease_token, 'updated', now_ms)
return redis.call('HGETALL', review)
"""
# Resets the time for which the entry's worker was silent. Returns 1, or 0 if the lease was lost.
_RENEW = """
local review, stream = unpack(KEYS)
local lease_token, group, consumer, entry_id = unpack(ARGV)
if redis.call('HGET', review, 'lease') ~= lease_token then
  return 0
end
redis.call('XCLAIM', stream, group, consumer, 0, entry_id, 'JUSTID')
return 1
"""
# Ends an attempt: writes the review and its diff, schedules the next attempt and removes the entry.
# Returns 1, or 0 if the lease was lost.
_END = """
local review, stream, retries, diff_key = unpack(KEYS)
local lease_token, group, entry_id, next_attempt, diff, fields = unpack(ARGV)
if redis.call('HGET', review, 'lease') ~= lease_token then
  return 0
end
redis.call('HDEL', review, 'lease')
for name, value in pairs(cjson.decode(fields)) do
  redis.call('HSET', review, name, value)
end
if diff ~= '' then
  redis.call('SET', diff_key, diff, 'PX', math.max(1, redis.call('PTTL', review)))
end

local id = string.match(review, '[^:]+$')
if next_attempt == 'at once' then
  redis.call('HINCRBY', review, 'attempts', -1)
  redis.call('XADD', stream, '*', 'id', id)
elseif next_attempt ~= 'never' then
  redis.call('ZADD', retries, next_attempt, id)
end

redis.call('XACK', stream, group, entry_id)
redis.call('XDEL', stream, entry_id)
return 1
"""


@dataclass(frozen=True)
class Job:
    """A review that this worker has claimed."""

    id: str  # of the review
    package: str
    old: str
    new: str
    attempt: int  # from 1
    request_id: str
    entry_id: str
    lease_token: str


class Queue:
    """Client for the queue in the store.

    Each call returns, or raises StoreError, within seconds. A method that writes returns False,
    and changes nothing, if the lease was lost.
    """

    def __init__(
        self,
        client: redis.Redis,
        worker_name: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        max_attempts: int = MAX_ATTEMPTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Register the scripts.

        Args:
            client: client of the store.
            worker_name: name of this worker; no other worker may have it.
            lease_seconds: time for which another worker may be silent until its job is claimed.
            max_attempts: attempts before a job becomes a dead letter.
            clock: returns the seconds since the epoch.
        """
        self._client = client
        self._worker_name = worker_name
        self._lease_ms = int(lease_seconds * 1000)
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
            self._run(_ENQUEUE_DUE, [RETRIES, STREAM], self._now_ms())
            try:
                return self._claim_next()
            except redis.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            self._create_group()  # the store is new, or lost its data
            return self._claim_next()

    def renew(self, job: Job) -> bool:
        """Renew the lease; return False if another worker has claimed the job."""
        keys = [review_key(job.id), STREAM]
        arguments = (job.lease_token, GROUP, self._worker_name, job.entry_id)
        with store_errors():
            return bool(self._run(_RENEW, keys, *arguments))

    def finish(self, job: Job, result: Result, diff: str) -> bool:
        """Write the result."""
        fields = {"status": str(Status.DONE), "result": result.model_dump_json(), "failure": ""}
        return self._end(job, fields, next_attempt=NEVER, diff=diff)

    def fail(self, job: Job, failure: Failure, *, dead_letter: bool = False) -> bool:
        """Write that the review failed; a dead letter failed in its last attempt."""
        fields = {
            "status": str(Status.FAILED),
            "failure": failure.model_dump_json(),
            "dead_letter": str(int(dead_letter)),
        }
        return self._end(job, fields, next_attempt=NEVER)

    def retry(self, job: Job, failure: Failure) -> bool:
        """Schedule another attempt after a growing delay, or fail after the last attempt."""
        if job.attempt >= self._max_attempts:  # this attempt was the last one
            return self.fail(job, failure, dead_letter=True)
        delay_seconds = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (job.attempt - 1))
        delay_seconds *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        next_attempt_ms = self._now_ms() + int(1000 * delay_seconds)
        fields = {"status": str(Status.QUEUED), "failure": failure.model_dump_json()}
        return self._end(job, fields, next_attempt=str(next_attempt_ms))

    def release(self, job: Job) -> bool:
        """Queue the job again at once, because this worker stops. No attempt is counted."""
        return self._end(job, {"status": str(Status.QUEUED)}, next_attempt=AT_ONCE)

    def _create_group(self) -> None:
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another worker has just created it
                raise

    def _claim_next(self) -> Job | None:
        """Claim the next review; drop entries of expired or ended reviews, and fatal jobs."""
        while entry := self._next_entry():
            entry_id, review_id = entry
            job = self._start(entry_id, review_id)
            if job is None:
                self._remove(entry_id)
            elif job.attempt > self._max_attempts:  # its worker died in each earlier attempt
                self._abandon(job)
            else:
                return job
        return None

    def _next_entry(self) -> tuple[str, str] | None:
        """Return an entry's id and its review's id: an abandoned entry, else a new one."""
        entries = self._claim_abandoned()
        if not entries:
            streams = self._client.xreadgroup(GROUP, self._worker_name, {STREAM: ">"}, count=1)
            entries = cast("_Streams", streams)[0][1] if streams else []
        if not entries:
            return None
        entry_id, fields = entries[0]
        return entry_id, fields["id"]

    def _claim_abandoned(self) -> _Entries:
        """Claim at most one entry whose worker was silent for longer than its lease."""
        cursor = "0-0"
        while True:  # one call looks at ten entries, which may all belong to living workers
            cursor, entries, *_ = self._client.xautoclaim(
                STREAM, GROUP, self._worker_name, self._lease_ms, cursor, count=1
            )
            if entries or cursor == "0-0":
                return cast("_Entries", entries)

    def _start(self, entry_id: str, review_id: str) -> Job | None:
        """Start an attempt and return its job, or None if the review has expired or ended."""
        lease_token = secrets.token_hex(8)
        reply = self._run(_START, [review_key(review_id)], lease_token, self._now_ms())
        if not reply:
            return None
        words = cast("list[str]", reply)
        fields = dict(zip(words[::2], words[1::2], strict=True))
        return Job(
            id=review_id,
            package=fields["package"],
            old=fields["from"],
            new=fields["to"],
            attempt=int(fields["attempts"]),
            request_id=fields.get("request_id", ""),
            entry_id=entry_id,
            lease_token=lease_token,
        )

    def _remove(self, entry_id: str) -> None:
        self._client.xack(STREAM, GROUP, entry_id)
        self._client.xdel(STREAM, entry_id)

    def _abandon(self, job: Job) -> None:
        message = f"all {self._max_attempts} attempts ended without an outcome"
        self.fail(job, Failure(code="abandoned", message=message), dead_letter=True)

    def _end(self, job: Job, fields: dict[str, str], *, next_attempt: str, diff: str = "") -> bool:
        fields_json = json.dumps({**fields, "updated": str(self._now_ms())})
        keys = [review_key(job.id), STREAM, RETRIES, diff_key(job.id)]
        arguments = (job.lease_token, GROUP, job.entry_id, next_attempt, diff, fields_json)
        with store_errors():
            return bool(self._run(_END, keys, *arguments))

    def _run(self, script: str, keys: list[str], *arguments: str | int) -> object:
        return self._scripts[script](keys=keys, args=list(arguments))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
