"""Keeps a job while it is done: renews its lease, and ends what must not go on."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from app.store import StoreError
from worker.queue import LEASE_SECONDS, Job
from worker.stop import StopSignal

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.25
GRACE_SECONDS = 4.0
"""From the wish to stop to the end of a job in hand; below Docker's 10 s, with room to write."""


class Renews(Protocol):
    """What the keeper asks of the queue."""

    def renew(self, job: Job) -> bool:
        """Go on holding it; False: another worker has it by now."""


class Keeper:
    """Beside one job, in a thread: `with Keeper(...) as keeper: ...`.

    Attributes:
        ended: why the job must not go on, "lost" or "stopped"; None while it may. `end` was called
            then, which makes what is in hand fail soon.
    """

    def __init__(
        self,
        queue: Renews,
        job: Job,
        stop: StopSignal,
        end: Callable[[], None],
        *,
        every: float = LEASE_SECONDS / 3,
        grace: float = GRACE_SECONDS,
    ) -> None:
        """`every`: seconds between two renewals. `grace`: seconds to finish in after a stop."""
        self.ended: str | None = None
        self._queue, self._job, self._stop, self._end = queue, job, stop, end
        self._every, self._grace = every, grace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """The job is over; what came of it is written after this, with nobody beside it."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed = time.monotonic()
        asked: float | None = None  # to stop, when
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            if self._stop.requested and asked is None:
                asked = now
            if asked is not None and now - asked >= self._grace:
                self._finish("stopped")
                return
            if now - renewed >= self._every:
                renewed = now
                if not self._renew():
                    self._finish("lost")
                    return

    def _renew(self) -> bool:
        try:
            return self._queue.renew(self._job)
        except StoreError as error:
            # Whether the lease is lost shows when the store is back, or when the result is written.
            log.warning("lease not renewed", extra={"job": self._job.id, "error": str(error)})
            return True

    def _finish(self, why: str) -> None:
        self.ended = why
        self._end()
