"""Stop request, made by SIGTERM or SIGINT."""

import os
import select
import signal
import time
from types import FrameType


class StopSignal:
    """Stop request that a signal sets and that ends a wait at once.

    It uses a pipe, not threading.Event: a signal handler runs in the main thread, and if it
    interrupts Event.wait there, it may wait for ever for the event's lock.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self.requested_at: float | None = None  # monotonic seconds

    @property
    def requested(self) -> bool:
        """Whether a stop is requested."""
        return self.requested_at is not None

    def seconds_ago(self) -> float:
        """Return the time since the request; 0 if there is none."""
        return time.monotonic() - self.requested_at if self.requested_at is not None else 0.0

    def install(self) -> "StopSignal":
        """Handle SIGTERM and SIGINT from now on; return itself. Call it in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def request(self) -> None:
        """Request a stop. Further calls change nothing."""
        if not self.requested:
            self.requested_at = time.monotonic()
            os.write(self._write_end, b"x")

    def wait(self, seconds: float) -> bool:
        """Wait for `seconds` or until a stop is requested; return whether one is."""
        select.select([self._read_end], [], [], seconds)
        return self.requested

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.request()
