"""One line of the benchmark: this project beside a peer, measured in turns in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Action = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """What was measured, how often, and what stands against it.

    Attributes:
        part: what it belongs to: line, images, reviews.
        what: the case, in a few words.
        unit: of all figures.
        ours: each run of this project.
        peer: what it is compared with; empty: with nothing but the bound.
        theirs: each run of that.
        target: what was aimed at.
        holds: whether it was reached.
        limit: what no program could go below, and why.
    """

    part: str
    what: str
    unit: str
    ours: tuple[float, ...]
    peer: str
    theirs: tuple[float, ...]
    target: str
    holds: bool
    limit: str

    @property
    def ratio(self) -> float | None:
        """Of the medians, this project's to the peer's; None where there is no peer."""
        return median(self.ours) / median(self.theirs) if self.theirs else None

    def line(self) -> str:
        """As it is told while others are still measured."""
        beside = f", beside {median(self.theirs):g} of {self.peer}" if self.theirs else ""
        kept = "" if self.holds else "  MISSED"
        return f"  {self.what}: {median(self.ours):g} {self.unit}{beside}{kept}"

    def document(self) -> dict[str, Any]:
        """As it is written to docs/performance.json."""
        return {**asdict(self), "ratio": self.ratio}


def median(values: Sequence[float]) -> float:
    """The middle of several runs: one that something disturbed counts for nothing."""
    return statistics.median(values)


def in_turns(repeats: int, *actions: Action, prepare: Action = lambda: None) -> list[list[float]]:
    """Seconds of each action, one after the other, so often; `prepare` before each is not timed.
    An action that returns seconds has measured itself."""
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats):
        for action, times in zip(actions, taken, strict=True):
            prepare()
            begun = time.monotonic()
            measured = action()
            whole = time.monotonic() - begun
            times.append(round(measured if isinstance(measured, float) else whole, 3))
    return taken
