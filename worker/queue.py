"""The worker's side of the store: claim a job, renew its lease, write its outcome.

A worker that claims a job gets a lease: a random token. Writes without it are rejected. So a
worker that was silent for too long (``docker pause``, a hung machine) loses its job to another
worker and can change nothing.
"""

import json
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import redis

from app import stored_diff
from app.reviews import Failure, Result, Status
from app.store import GROUP, RETRIES, script_keys
from app.store_errors import store_errors
from worker.policy import is_repeatable
from worker.scripts import CLAIM, END, RENEW

__all__ = ["RETRIES", "Job", "Queue"]

LEASE_SECONDS = 15.0
"""Time for which a worker may be silent before another one claims its job."""
MAX_ATTEMPTS = 8
"""Attempts span about four minutes, so a shorter outage of the registry fails no review."""
FIRST_DELAY_SECONDS = 2.0
"""Delay before the second attempt. Each further delay is twice as long."""
MAX_DELAY_SECONDS = 120.0
JITTER = 0.25
"""Random change of a delay, at most this part of it: failed jobs do not all return together."""
# Values of next_attempt, which is else a time in ms. The script END compares them.
AT_ONCE = "at once"
NEVER = "never"

MAX_CONSUMER_IDLE_SECONDS = 2 * 3600
"""Time after which the stream forgets a worker that has no job."""

# Entry id, hash, ids and reasons of dropped entries, whether there is more.
_Claim = tuple[str, list[str], list[str], int]
log = logging.getLogger(__name__)


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
        policy: str = "default",
    ) -> None:
        """Register the scripts.

        Args:
            client: client of the store.
            worker_name: name of this worker; no other worker may have it.
            lease_seconds: time for which another worker may be silent until its job is claimed.
            max_attempts: attempts before a job becomes a dead letter.
            clock: returns the seconds since the epoch.
            policy: what this worker judges by (worker/policy.py). The result of a policy
                that no worker has is no answer to a new submission.
        """
        self._client = client
        self._worker_name = worker_name
        self._lease_ms = int(lease_seconds * 1000)
        self._max_attempts = max_attempts
        self._clock = clock
        self._policy = policy
        self._scripts = {text: client.register_script(text) for text in (CLAIM, RENEW, END)}

    def claim(self) -> Job | None:
        """Claim the next review and mark it as running; return None if none is waiting.

        Jobs of workers that were silent for longer than their lease come first. Entries of which
        no job can be made are removed and logged.
        """
        while True:
            token = secrets.token_hex(8)
            arguments = (self._lease_ms, self._policy, int(MAX_CONSUMER_IDLE_SECONDS * 1000))
            reply = self._run(CLAIM, token, *arguments)
            entry_id, words, dropped, has_more = cast("_Claim", reply)
            for dropped_id, reason in zip(dropped[::2], dropped[1::2], strict=True):
                log.warning("poison entry dropped", extra={"entry": dropped_id, "why": reason})
            if entry_id:
                job = _job(entry_id, words, token)
                if job.attempt <= self._max_attempts:
                    return job
                self._abandon(job)  # its worker died in each earlier attempt
            elif not has_more:
                return None

    def renew(self, job: Job) -> bool:
        """Renew the lease; return False if another worker has claimed the job."""
        return bool(self._run(RENEW, job.lease_token, job.id, self._policy, job.entry_id))

    def finish(self, job: Job, result: Result, diff: str) -> bool:
        """Write the result and the diff, within the limits of app/reviews.py and app/space.py."""
        packed, is_cut = stored_diff.pack(diff)
        result = result.model_copy(update={"diff_truncated": result.diff_truncated or is_cut})
        fields = {
            "status": str(Status.DONE),
            "result": result.bounded().model_dump_json(),
            "failure": "",
            "policy": self._policy if is_repeatable(result) else "",
        }
        return self._end(job, fields, next_attempt=NEVER, diff=packed)

    def fail(self, job: Job, failure: Failure, *, dead_letter: bool = False) -> bool:
        """Write that the review failed; a dead letter failed in its last attempt."""
        fields = {
            "status": str(Status.FAILED),
            "failure": failure.bounded().model_dump_json(),
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
        fields = {"status": str(Status.QUEUED), "failure": failure.bounded().model_dump_json()}
        return self._end(job, fields, next_attempt=str(next_attempt_ms))

    def release(self, job: Job) -> bool:
        """Queue the job again at once, because this worker stops. No attempt is counted."""
        return self._end(job, {"status": str(Status.QUEUED)}, next_attempt=AT_ONCE)

    def _abandon(self, job: Job) -> None:
        message = f"all {self._max_attempts} attempts ended without an outcome"
        self.fail(job, Failure(code="abandoned", message=message), dead_letter=True)

    def _end(
        self, job: Job, fields: dict[str, str], *, next_attempt: str, diff: bytes = b""
    ) -> bool:
        fields_json = json.dumps({**fields, "updated": str(self._now_ms())}, ensure_ascii=False)
        arguments = (job.id, job.entry_id, next_attempt, diff, fields_json)
        return bool(self._run(END, job.lease_token, *arguments))

    def _run(self, script: str, lease_token: str, *arguments: str | int | bytes) -> object:
        head = (GROUP, self._worker_name, lease_token, self._now_ms())
        with store_errors():
            return self._scripts[script](keys=script_keys(), args=[*head, *arguments])

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _job(entry_id: str, words: list[str], lease_token: str) -> Job:
    """Return the job of a claimed review; `words` are the names and values of its hash."""
    fields = dict(zip(words[::2], words[1::2], strict=True))
    return Job(
        id=fields["id"],
        package=fields["package"],
        old=fields["from"],
        new=fields["to"],
        attempt=int(fields["attempts"]),
        request_id=fields.get("request_id", ""),
        entry_id=entry_id,
        lease_token=lease_token,
    )
