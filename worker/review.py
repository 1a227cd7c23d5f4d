"""Review of one upgrade: compare the versions, assess the risk, write the result."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from app.reviews import Failure, Result
from app.store import StoreError
from worker.assess import Assess, Assessed
from worker.child import Cancelled, Children
from worker.failure import ReviewError
from worker.lease import LeaseRenewer
from worker.llm import Opinion
from worker.queue import Job, Queue
from worker.stop import StopSignal

log = logging.getLogger(__name__)
MAX_WRITE_ATTEMPTS = 5
"""Attempts to write a job's outcome if the store is unavailable."""
WRITE_RETRY_SECONDS = 1.0
"""Time between two attempts."""
WRITE_SECONDS_AFTER_STOP = 4.0
"""Time from a stop request to the last attempt. An attempt takes at most 4.5 seconds, and
Docker kills the worker ten seconds after the request."""


@dataclass(frozen=True)
class Reviewer:
    """Reviewer of one upgrade per call.

    Each part of a review is a child process with limits of its own, so a stop ends it at any time.

    Attributes:
        queue: the queue that holds the jobs.
        stop: the worker's stop request.
        compare: fetches and compares two versions (package, old, new); raises ReviewError.
        start_assessor: starts the process that assesses the answer of `compare`.
        summarize: queries the language model, if one is configured.
        threshold: minimum risk that blocks an upgrade.
    """

    queue: Queue
    stop: StopSignal
    compare: Callable[[Children, str, str, str], bytes]
    start_assessor: Callable[[Children], AbstractContextManager[Assess]]
    summarize: Callable[[Children, str, float], Opinion]
    threshold: float

    def __call__(self, job: Job) -> None:
        """Review the upgrade and write the outcome."""
        log.info("job started", extra=_log_fields(job))
        started = time.monotonic()
        children = Children()
        with LeaseRenewer(self.queue, job, self.stop, children.cancel):
            write_outcome = self._review(job, children)
        written = self._retry_write(write_outcome)
        seconds = round(time.monotonic() - started, 3)
        log.info("job ended", extra={**_log_fields(job), "seconds": seconds, "written": written})

    def _review(self, job: Job, children: Children) -> Callable[[], bool]:
        """Review the upgrade and return the function that writes the outcome."""
        try:
            with self.start_assessor(children) as assess:
                answer = self.compare(children, job.package, job.old, job.new)
                assessed = assess(job.package, answer)
            opinion = self.summarize(children, assessed.llm_data, assessed.risk)
        except Cancelled:
            return partial(self.queue.release, job)  # does nothing if the lease was lost
        except ReviewError as error:
            return self._failed(job, error)
        result = self._result(assessed, opinion)
        return partial(self.queue.finish, job, result, assessed.diff)

    def _failed(self, job: Job, error: ReviewError) -> Callable[[], bool]:
        """Log the failure; return the function that schedules another attempt, or ends the job."""
        fields = {"code": error.code, "why": str(error), "detail": error.detail}
        log.warning("job failed", extra={**_log_fields(job), **fields})
        failure = Failure(code=error.code, message=str(error))
        if error.max_attempts is None or job.attempt < error.max_attempts:
            return partial(self.queue.retry, job, failure)
        # A dead letter has used up its attempts. A review that can never succeed is none.
        return partial(self.queue.fail, job, failure, dead_letter=error.max_attempts > 1)

    def _result(self, assessed: Assessed, opinion: Opinion) -> Result:
        risk = max(assessed.risk, opinion.risk)
        verdict: Literal["pass", "block"] = "block" if risk >= self.threshold else "pass"
        return Result(
            verdict=verdict,
            risk=risk,
            threshold=self.threshold,
            from_version=assessed.from_version,
            to_version=assessed.to_version,
            findings=assessed.findings,
            statistics=assessed.statistics,
            summary=opinion.summary,
            summary_missing=opinion.missing.value if opinion.missing else None,
            reasons=opinion.reasons,
            diff_truncated=assessed.diff_truncated,
        )

    def _retry_write(self, write_outcome: Callable[[], bool]) -> bool:
        """Write the outcome, repeatedly if the store is unavailable; return whether it was written.

        If the store stays unavailable, the lease expires, and a worker repeats the job.
        """
        for tries_left in reversed(range(MAX_WRITE_ATTEMPTS)):
            try:
                return write_outcome()
            except StoreError as error:
                fields = {"error": str(error), "tries_left": tries_left}
                log.warning("job not written", extra=fields)
                if not tries_left or self.stop.seconds_ago() > WRITE_SECONDS_AFTER_STOP:
                    return False
                time.sleep(WRITE_RETRY_SECONDS)
        return False


def _log_fields(job: Job) -> dict[str, object]:
    return {
        "job": job.id, "package": job.package, "from": job.old, "to": job.new,
        "attempt": job.attempt,
    }  # fmt: skip
