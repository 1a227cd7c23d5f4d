"""The worker's loop: record a heartbeat, claim a job or wait, repeat until a stop is requested."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.log import Seldom, request_id
from app.store_errors import StoreError
from worker.heartbeat import MAX_SILENCE_SECONDS, PERIOD_SECONDS, Heartbeat
from worker.queue import Job
from worker.stop import StopSignal

log = logging.getLogger(__name__)


class JobSource(Protocol):
    """Queue, as far as the loop needs it."""

    def claim(self) -> Job | None:
        """Return the next job, or None if none is waiting."""


@dataclass(frozen=True)
class Loop:
    """Loop that claims jobs from `queue` one by one and passes each to `process`.

    Attributes:
        queue: source of jobs.
        process: does one job, writes its result and handles its failures.
        max_job_seconds: longest duration of a job. `process` must enforce it; after that time
            the health probe reports that the loop has stalled.
        heartbeat: beats on each turn, before each job and while waiting.
        poll_interval: seconds between two checks of an empty queue.
        stop: the stop request: it ends a wait at once, and the loop after the current job.
        seldom: logger of failures that each poll of the queue may repeat.
    """

    queue: JobSource
    process: Callable[[Job], None]
    max_job_seconds: float
    heartbeat: Heartbeat
    poll_interval: float
    stop: StopSignal
    seldom: Seldom = field(default_factory=lambda: Seldom(log))

    def run(self) -> None:
        """Run until a stop is requested."""
        while not self.stop.requested:
            self._beat(MAX_SILENCE_SECONDS)
            job = self._claim()
            if job is None:
                self._wait()
            else:
                self._process(job)

    def _wait(self) -> None:
        """Wait for the poll interval, with heartbeats. A stop ends the wait at once."""
        remaining = self.poll_interval
        while remaining > PERIOD_SECONDS and not self.stop.wait(PERIOD_SECONDS):
            self._beat(MAX_SILENCE_SECONDS)
            remaining -= PERIOD_SECONDS
        if not self.stop.requested:
            self.stop.wait(remaining)

    def _claim(self) -> Job | None:
        """Return the next job, or None if none is waiting or the queue fails."""
        try:
            return self.queue.claim()
        except Exception as error:  # noqa: BLE001 - a failing queue must not end the worker
            # Not the error's text, which may contain a password.
            state = error.state if isinstance(error, StoreError) else ""
            extra = {"error": type(error).__name__, "state": state}
            self.seldom.warning("queue unavailable", extra)
            return None

    def _process(self, job: Job) -> None:
        self._beat(self.max_job_seconds + MAX_SILENCE_SECONDS)
        token = request_id.set(job.request_id)
        try:
            self.process(job)
        except Exception:
            # A bug in the worker: the lease expires, and a worker retries the job.
            log.exception("job crashed", extra={"job": job.id})
        finally:
            request_id.reset(token)

    def _beat(self, deadline_seconds: float) -> None:
        try:
            self.heartbeat.beat(deadline_seconds)
        except OSError as error:
            # Not fatal: the health probe reports the missing beat.
            log.error("heartbeat not written", extra={"error": str(error)})
