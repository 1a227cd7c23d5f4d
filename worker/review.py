"""Review of one upgrade: compare the versions, assess the risk, write the result."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from app.reviews import Failure, Finding, Result, Statistics
from app.store import StoreError
from worker.change import Change
from worker.lease import LeaseRenewer
from worker.llm import Opinion
from worker.npm_diff import DiffError
from worker.queue import Job, Queue
from worker.risk import Assessment, assess
from worker.stop import StopSignal

log = logging.getLogger(__name__)
MAX_WRITE_ATTEMPTS = 5
"""Attempts to write a job's outcome if the store is unavailable."""
WRITE_RETRY_SECONDS = 1.0
"""Time between two attempts."""


@dataclass(frozen=True)
class Reviewer:
    """Reviewer of one upgrade per call.

    Attributes:
        queue: the queue that holds the jobs.
        stop: the worker's stop request.
        compare: fetches and compares two versions (package, old, new); raises DiffError.
        summarize: queries the language model, if one is configured; never raises.
        cancel: makes a running `compare` fail soon.
        threshold: minimum risk that blocks an upgrade.
    """

    queue: Queue
    stop: StopSignal
    compare: Callable[[str, str, str], Change]
    summarize: Callable[[Change, Assessment], Opinion]
    cancel: Callable[[], None]
    threshold: float

    def __call__(self, job: Job) -> None:
        """Review the upgrade and write the outcome."""
        log.info("job started", extra=_log_fields(job))
        started = time.monotonic()
        with LeaseRenewer(self.queue, job, self.stop, self.cancel) as renewer:
            write_outcome = self._review(job, renewer)
        written = _retry_write(write_outcome)
        seconds = round(time.monotonic() - started, 3)
        log.info("job ended", extra={**_log_fields(job), "seconds": seconds, "written": written})

    def _review(self, job: Job, renewer: LeaseRenewer) -> Callable[[], bool]:
        """Review the upgrade and return the function that writes the outcome."""
        try:
            change = self.compare(job.package, job.old, job.new)
        except DiffError as error:
            if renewer.cancelled:
                return partial(self.queue.release, job)  # does nothing if the lease was lost
            failure = Failure(code=error.code, message=str(error))
            fields = {**_log_fields(job), "code": error.code, "why": str(error)}
            log.warning("job failed", extra=fields)
            return partial(self.queue.retry if error.retry else self.queue.fail, job, failure)
        assessment = assess(change, datetime.now(UTC))
        result = self._result(change, assessment, self.summarize(change, assessment))
        return partial(self.queue.finish, job, result, change.diff)

    def _result(self, change: Change, assessment: Assessment, opinion: Opinion) -> Result:
        risk = max(assessment.risk, opinion.risk)
        verdict: Literal["pass", "block"] = "block" if risk >= self.threshold else "pass"
        return Result(
            verdict=verdict,
            risk=risk,
            threshold=self.threshold,
            from_version=change.old.version,
            to_version=change.new.version,
            findings=tuple(
                Finding(signal=f.signal, path=f.path, line=f.line, weight=f.weight, text=f.text)
                for f in assessment.findings
            ),
            statistics=_statistics(change),
            summary=opinion.summary,
            summary_missing=opinion.missing.value if opinion.missing else None,
            reasons=opinion.reasons,
            diff_truncated=change.truncated,
        )


def _statistics(change: Change) -> Statistics:
    statuses = [file.status for file in change.files]
    return Statistics(
        files_added=statuses.count("added"),
        files_removed=statuses.count("removed"),
        files_modified=statuses.count("modified"),
        # Not counted from the files' lines: limits may have cut those.
        lines_added=change.stats["lines_added"],
        lines_removed=change.stats["lines_removed"],
        unpacked_bytes_before=change.old.unpacked_bytes,
        unpacked_bytes=change.new.unpacked_bytes,
    )


def _retry_write(write_outcome: Callable[[], bool]) -> bool:
    """Write the outcome, repeatedly if the store is unavailable; return whether it was written.

    If the store stays unavailable, the lease expires, and a worker repeats the job.
    """
    for tries_left in reversed(range(MAX_WRITE_ATTEMPTS)):
        try:
            return write_outcome()
        except StoreError as error:
            log.warning("job not written", extra={"error": str(error), "tries_left": tries_left})
            if tries_left:
                time.sleep(WRITE_RETRY_SECONDS)
    return False


def _log_fields(job: Job) -> dict[str, object]:
    return {
        "job": job.id, "package": job.package, "from": job.old, "to": job.new,
        "attempt": job.attempt,
    }  # fmt: skip
