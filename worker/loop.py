"""The worker's loop: beat, take a job or wait, again, until asked to stop."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.log import request_id
from worker.heartbeat import BOUND_SECONDS, PERIOD_SECONDS, Heartbeat
from worker.queue import Job
from worker.stop import StopSignal

log = logging.getLogger(__name__)


class Takes(Protocol):
    """What the loop asks of the queue."""

    def take(self) -> Job | None:
        """The next job; None: none waits."""


@dataclass(frozen=True)
class Loop:
    """Takes jobs from `queue` one by one and hands each to `work`.

    Attributes:
        queue: where the jobs come from.
        work: does one job, and writes what came of it; it answers for its own failures.
        job_limit: seconds that `work` takes at most. It must keep to it by itself; the health
            probe calls the loop stalled when it does not.
        heartbeat: beaten at each turn, before and after each job, and while waiting.
        poll_interval: seconds between two looks at an empty queue.
        stop: ends the loop, at once while it waits, else after the job in hand.
    """

    queue: Takes
    work: Callable[[Job], None]
    job_limit: float
    heartbeat: Heartbeat
    poll_interval: float
    stop: StopSignal

    def run(self) -> None:
        """Turn until asked to stop."""
        while not self.stop.requested:
            self._beat(BOUND_SECONDS)
            job = self._take()
            if job is None:
                self._rest()
            else:
                self._do(job)

    def _rest(self) -> None:
        """Wait for the poll interval, beating; a stop ends it at once."""
        left = self.poll_interval
        while left > PERIOD_SECONDS and not self.stop.wait(PERIOD_SECONDS):
            self._beat(BOUND_SECONDS)
            left -= PERIOD_SECONDS
        if not self.stop.requested:
            self.stop.wait(left)

    def _take(self) -> Job | None:
        """Return the next job; None too when the queue fails, to look again after the interval."""
        try:
            return self.queue.take()
        except Exception as error:  # noqa: BLE001 - a queue that is away must not end the worker
            log.warning("queue does not answer", extra={"error": type(error).__name__})
            return None

    def _do(self, job: Job) -> None:
        self._beat(self.job_limit + BOUND_SECONDS)
        token = request_id.set(job.request_id)
        try:
            self.work(job)
        except Exception:
            # A defect of this program: the lease runs out, and the job is tried again elsewhere.
            log.exception("job broke", extra={"job": job.id})
        finally:
            request_id.reset(token)

    def _beat(self, within: float) -> None:
        try:
            self.heartbeat.beat(within)
        except OSError as error:
            # Not fatal: the probe sees the missing beat, and says so.
            log.error("heartbeat not written", extra={"error": str(error)})
