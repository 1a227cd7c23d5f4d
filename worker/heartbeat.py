"""The heartbeat: a file by which the health probe tells a loop that turns from one that hangs."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from worker.probe import DEFAULT_PATH

# An idle loop beats this often, however seldom it looks at the queue, so that a stall is noticed as
# fast with any poll interval.
PERIOD_SECONDS = 1.0
# From a beat to when the next is overdue, while no job runs: one slow turn is no stall.
BOUND_SECONDS = 4 * PERIOD_SECONDS


@dataclass(frozen=True)
class Heartbeat:
    """Writes when the loop last turned and when it must have turned again.

    Only the loop itself beats. A side thread would go on beating while the loop hangs, and the
    container would look healthy for ever. A job that may take long is announced instead: the beat
    before it names a deadline that covers the job's own limit.
    """

    path: Path = Path(DEFAULT_PATH)
    clock: Callable[[], float] = field(default=time.monotonic)

    def beat(self, within: float) -> None:
        """Say that the loop turns, and beats again within so many seconds.

        Raises:
            OSError: the file cannot be written.
        """
        now = self.clock()
        # Beside the file, then renamed: the probe never reads half a beat. O_NOFOLLOW, since the
        # name stands in a folder that others may write to.
        fresh = self.path.with_name(self.path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(fresh, flags, 0o644), "w", encoding="ascii") as file:  # noqa: PTH123
            # All digits: a beat rounded up is in the future for a probe of the same millisecond.
            file.write(f"{now!r} {now + within!r}\n")
        fresh.replace(self.path)
