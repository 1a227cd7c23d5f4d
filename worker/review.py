"""One review, from the job to what is written of it."""

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
from worker.lease import Keeper
from worker.llm import Opinion
from worker.npm_diff import DiffError
from worker.queue import Job, Queue
from worker.risk import Assessment, assess
from worker.stop import StopSignal

log = logging.getLogger(__name__)
WRITES = 5
"""How often it is tried to write what came of a job, while the store is away."""
WRITE_SECONDS = 1.0


@dataclass(frozen=True)
class Reviewer:
    """Does one job after the other.

    Attributes:
        compare: fetches and compares the two versions; raises DiffError.
        opine: asks the LLM, where there is one; raises nothing.
        end: makes a `compare` that is under way fail soon.
        threshold: risk from which an upgrade is blocked.
    """

    queue: Queue
    stop: StopSignal
    compare: Callable[[str, str, str], Change]
    opine: Callable[[Change, Assessment], Opinion]
    end: Callable[[], None]
    threshold: float

    def __call__(self, job: Job) -> None:
        """Review, and write what came of it."""
        log.info("job started", extra=_said(job))
        begun = time.monotonic()
        with Keeper(self.queue, job, self.stop, self.end) as keeper:
            write = self._outcome(job, keeper)
        kept = _written(write)
        seconds = round(time.monotonic() - begun, 3)
        log.info("job ended", extra={**_said(job), "seconds": seconds, "written": kept})

    def _outcome(self, job: Job, keeper: Keeper) -> Callable[[], bool]:
        """What writes what came of it."""
        try:
            change = self.compare(job.package, job.old, job.new)
        except DiffError as error:
            if keeper.ended:
                # which writes nothing where the lease was lost
                return partial(self.queue.hand_back, job)
            failure = Failure(code=error.code, message=str(error))
            log.warning("job failed", extra={**_said(job), "code": error.code, "why": str(error)})
            return partial(self.queue.retry if error.retry else self.queue.fail, job, failure)
        assessment = assess(change, datetime.now(UTC))
        result = self._result(change, assessment, self.opine(change, assessment))
        return partial(self.queue.finish, job, result, change.diff)

    def _result(self, change: Change, assessment: Assessment, opinion: Opinion) -> Result:
        risk = max(assessment.risk, opinion.risk)  # an LLM's word may add, never take away
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
    by = [file.status for file in change.files]
    return Statistics(
        files_added=by.count("added"),
        files_removed=by.count("removed"),
        files_modified=by.count("modified"),
        # As counted before any bound cut them.
        lines_added=change.stats["lines_added"],
        lines_removed=change.stats["lines_removed"],
        unpacked_bytes_before=change.old.unpacked_bytes,
        unpacked_bytes=change.new.unpacked_bytes,
    )


def _written(write: Callable[[], bool]) -> bool:
    """Write, also where the store is away for a moment; else the lease runs out, and the job is
    done again by whoever takes it next."""
    for left in reversed(range(WRITES)):
        try:
            return write()
        except StoreError as error:
            log.warning("job not written", extra={"error": str(error), "tries_left": left})
            if left:
                time.sleep(WRITE_SECONDS)
    return False


def _said(job: Job) -> dict[str, object]:
    return {
        "job": job.id, "package": job.package, "from": job.old, "to": job.new,
        "attempt": job.attempt,
    }  # fmt: skip
