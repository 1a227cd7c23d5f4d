"""The wish to stop, as a signal brings it."""

import os
import select
import signal
from types import FrameType


class StopSignal:
    """Becomes requested by SIGTERM or SIGINT, and ends a wait at once.

    A pipe rather than threading.Event: a handler that runs while the same thread is inside
    Event.wait can find the event's lock held, and then waits for itself for ever.
    """

    def __init__(self) -> None:
        """Make the pipe; nothing is requested yet."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.requested = False

    def install(self) -> "StopSignal":
        """Answer SIGTERM and SIGINT from here on; the main thread only. Returns itself.

        Explicit, since the kernel ignores a signal that PID 1 has no handler for.
        """
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def request(self) -> None:
        """Ask to stop; twice is as good as once."""
        if not self.requested:
            self.requested = True
            os.write(self._write, b"x")

    def wait(self, seconds: float) -> bool:
        """Wait until asked to stop or until `seconds` are over; return whether asked."""
        select.select([self._read], [], [], seconds)
        return self.requested

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.request()
