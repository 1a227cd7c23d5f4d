"""Heartbeat file: it shows the health probe that the worker's loop still runs."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from worker.probe import DEFAULT_PATH

PERIOD_SECONDS = 1.0
"""Time between two beats of an idle loop, also if its poll interval is longer."""
MAX_SILENCE_SECONDS = 6 * PERIOD_SECONDS
"""Time from a beat to the next one's deadline while no job runs. A command to a store that
does not answer takes 4.5 s (app/store.py): that is no stall."""


@dataclass(frozen=True)
class Heartbeat:
    """Writer of the heartbeat file.

    Only the loop calls it: a separate thread would go on beating while the loop hangs. Before a
    long job, the loop sets a deadline that covers the job's time limit.
    """

    path: Path = Path(DEFAULT_PATH)
    clock: Callable[[], float] = field(default=time.monotonic)

    def beat(self, deadline_seconds: float) -> None:
        """Record a beat and the deadline of the next one, in `deadline_seconds`.

        Raises:
            OSError: the file cannot be written.
        """
        now = self.clock()
        # Write to another file, then rename: the probe never reads a partial beat. O_NOFOLLOW,
        # because other users may write to this folder.
        temporary = self.path.with_name(self.path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(temporary, flags, 0o644), "w", encoding="ascii") as file:  # noqa: PTH123
            # With all digits: a beat that is rounded up could lie in the probe's future.
            file.write(f"{now!r} {now + deadline_seconds!r}\n")
        temporary.replace(self.path)
