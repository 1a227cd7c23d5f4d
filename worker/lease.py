"""Lease of a job: renewed while the job runs; the job is cancelled if it must not go on."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from app.store import StoreError
from worker.queue import LEASE_SECONDS, Job
from worker.stop import StopSignal

log = logging.getLogger(__name__)
CHECK_SECONDS = 0.25
"""Time between two checks whether to renew or to cancel."""
GRACE_SECONDS = 3.0
"""Time from a stop request to the cancellation of a running job.

Docker kills the worker 10 s after the request, so the rest is for writing.
"""


class RenewableQueue(Protocol):
    """Queue, as far as the renewer needs it."""

    def renew(self, job: Job) -> bool:
        """Renew the lease; return False if another worker has claimed the job."""


class LeaseRenewer:
    """Thread that renews the lease of one job: ``with LeaseRenewer(...) as renewer: ...``.

    Attributes:
        cancelled: why the job was cancelled: "lost" (the lease) or "stopped" (the worker); None
            if it was not.
    """

    def __init__(
        self,
        queue: RenewableQueue,
        job: Job,
        stop: StopSignal,
        cancel: Callable[[], None],
        *,
        renewal_seconds: float = LEASE_SECONDS / 3,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Prepare the thread.

        Args:
            queue: holds the lease.
            job: the job that runs.
            stop: the worker's stop request.
            cancel: makes the running job fail soon.
            renewal_seconds: time between two renewals.
            grace_seconds: time from a stop request to the cancellation.
        """
        self.cancelled: Literal["lost", "stopped"] | None = None
        self._queue, self._job, self._stop, self._cancel = queue, job, stop, cancel
        self._renewal_seconds, self._grace_seconds = renewal_seconds, grace_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """End the thread, so that it does not renew the lease while the outcome is written."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        renewed_at = time.monotonic()
        while not self._done.wait(CHECK_SECONDS):
            now = time.monotonic()
            if self._stop.requested and self._stop.seconds_ago() >= self._grace_seconds:
                self._cancel_job("stopped")
                return
            if now - renewed_at >= self._renewal_seconds:
                renewed_at = now
                if not self._renew():
                    self._cancel_job("lost")
                    return

    def _renew(self) -> bool:
        try:
            return self._queue.renew(self._job)
        except StoreError as error:
            # The next renewal, or the write of the outcome, shows whether the lease was lost.
            extra = {"job": self._job.id, "state": error.state, "error": str(error)}
            log.warning("lease not renewed", extra=extra)
            return True

    def _cancel_job(self, reason: Literal["lost", "stopped"]) -> None:
        self.cancelled = reason
        self._cancel()
