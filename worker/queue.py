"""The worker's side of the store: takes a review up, keeps it, and writes what came of it.

Who takes a review up gets a lease, a word that nobody else knows. What is written later is written
only while the review still has that lease: a worker that was silent for so long that another took
its place (``docker pause``, a hung machine) finds that it lost it, and changes nothing.
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

LATER = f"{PREFIX}:later"  # ids of reviews that are tried again, by when
LEASE_SECONDS = 15.0
"""How long a worker may be silent before another takes its review."""
MOST_ATTEMPTS = 8
"""With the pauses between them: a registry may be away for some four minutes."""
RETRY_SECONDS = 2.0
MOST_RETRY_SECONDS = 120.0

# KEYS: later, stream. ARGV: now (ms).
_PROMOTE = """
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('XADD', KEYS[2], '*', 'id', id)
end
"""
# KEYS: review. ARGV: lease, now (ms), most attempts.
_TAKE = """
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
# KEYS: review, stream, later, diff. ARGV: lease, group, entry, due (ms; 0: now; -1: never), diff,
# fields as JSON.
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
    """A review that this worker holds."""

    id: str
    package: str
    old: str
    new: str
    attempt: int
    request_id: str
    entry: str  # of the stream
    lease: str


class Queue:
    """What a worker asks of the store. Each call answers or raises StoreError within seconds."""

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        *,
        lease: float = LEASE_SECONDS,
        most_attempts: int = MOST_ATTEMPTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`name`: this worker's, another for each. `lease`: seconds."""
        self._client = client
        self._name = name
        self._lease_ms = int(lease * 1000)
        self._most_attempts = most_attempts
        self._clock = clock
        self._scripts = {
            text: client.register_script(text) for text in (_PROMOTE, _TAKE, _RENEW, _END)
        }

    def take(self) -> Job | None:
        """The next review, now running and held by this worker; None: none waits.

        What another worker held, and was silent about for longer than its lease, comes first.
        """
        with store_errors():
            self._run(_PROMOTE, [LATER, STREAM], self._now())
            try:
                return self._first()
            except redis.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            self._found_group()
            return self._first()

    def renew(self, job: Job) -> bool:
        """Go on holding it; False: another worker has it by now."""
        with store_errors():
            keys = [review_key(job.id), STREAM]
            return bool(self._run(_RENEW, keys, job.lease, GROUP, self._name, job.entry))

    def finish(self, job: Job, result: Result, diff: str) -> bool:
        """Write what came of it; False: the lease was lost, and nothing is written."""
        fields = {"status": str(Status.DONE), "result": result.model_dump_json(), "failure": ""}
        return self._end(job, fields, due=-1, diff=diff)

    def fail(self, job: Job, failure: Failure, *, dead: bool = False) -> bool:
        """Write that it cannot be made; `dead`: it was tried too often."""
        fields = {
            "status": str(Status.FAILED),
            "failure": failure.model_dump_json(),
            "dead_letter": str(int(dead)),
        }
        return self._end(job, fields, due=-1)

    def retry(self, job: Job, failure: Failure) -> bool:
        """Try it again later, each time after a longer pause; after the last attempt, fail."""
        if job.attempt >= self._most_attempts:
            return self.fail(job, failure, dead=True)
        pause = min(MOST_RETRY_SECONDS, RETRY_SECONDS * 2 ** (job.attempt - 1))
        # Those that failed together do not come back together.
        due = self._now() + int(1000 * pause * random.uniform(0.75, 1.25))  # noqa: S311
        fields = {"status": str(Status.QUEUED), "failure": failure.model_dump_json()}
        return self._end(job, fields, due=due)

    def hand_back(self, job: Job) -> bool:
        """Give it to whoever takes it next, at once: this worker ends. It counts as no attempt."""
        return self._end(job, {"status": str(Status.QUEUED)}, due=0)

    def _found_group(self) -> None:
        """The store is new."""
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another worker was first
                raise

    def _first(self) -> Job | None:
        while entry := self._next():
            if job := self._claim(*entry):
                return job
        return None

    def _next(self) -> tuple[str, str] | None:
        """An entry of the stream and the review's id: one that was left, else a new one."""
        left = self._client.xautoclaim(STREAM, GROUP, self._name, self._lease_ms, "0-0", count=1)
        for entry, fields in left[1]:
            return entry, fields["id"]
        new = cast("list[Any]", self._client.xreadgroup(GROUP, self._name, {STREAM: ">"}, 1))
        for _, entries in new or ():
            for entry, fields in entries:
                return entry, fields["id"]
        return None

    def _claim(self, entry: str, id_: str) -> Job | None:
        lease = secrets.token_hex(8)
        answer = self._run(_TAKE, [review_key(id_)], lease, self._now())
        if not answer:  # it expired, or it is over: a worker died between writing and saying so
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
        if job.attempt > self._most_attempts:  # each of them ended with its worker
            self.fail(job, Failure(code="abandoned", message="no worker outlived it"), dead=True)
            return None
        return job

    def _end(self, job: Job, fields: dict[str, str], *, due: int, diff: str = "") -> bool:
        written = json.dumps({**fields, "updated": str(self._now())})
        keys = [review_key(job.id), STREAM, LATER, diff_key(job.id)]
        with store_errors():
            return bool(self._run(_END, keys, job.lease, GROUP, job.entry, due, diff, written))

    def _run(self, script: str, keys: list[str], *arguments: str | int) -> object:
        return self._scripts[script](keys=keys, args=list(arguments))

    def _now(self) -> int:
        return int(self._clock() * 1000)
