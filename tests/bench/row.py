"""A row of the benchmark: this project beside a peer, measured in turns in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Action = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """Every run of this project and of a peer, with a target.

    Attributes:
        part: part of the benchmark: images, commands or reviews.
        case: the measured case, in a few words.
        unit: unit of all figures.
        ours: figures of this project, one a run.
        peer: name of the peer; empty if there is none.
        theirs: figures of the peer, one a run.
        target: the target, in words; empty if there is none.
        reached: whether the target was reached.
        bound: what bounds the figure from below.
        more_is_better: whether a greater figure is the better one.
    """

    part: str
    case: str
    unit: str
    ours: tuple[float, ...]
    peer: str
    theirs: tuple[float, ...]
    target: str
    reached: bool
    bound: str
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Ratio of this project's median to the peer's; None if there is no peer."""
        return median(self.ours) / median(self.theirs) if self.theirs else None

    def line(self) -> str:
        """Return the row as a line for the terminal."""
        peer = f", {self.peer}: {median(self.theirs):g}" if self.theirs else ""
        missed = "" if self.reached else "  TARGET MISSED"
        return f"  {self.case}: {median(self.ours):g} {self.unit}{peer}{missed}"

    def document(self) -> dict[str, Any]:
        """Return the row as docs/performance.json has it."""
        return {**asdict(self), "ratio": self.ratio}


def median(values: Sequence[float]) -> float:
    """Return the median: a single disturbed run does not change it much."""
    return statistics.median(values)


def in_turns(repeats: int, *actions: Action, prepare: Action = lambda: None) -> list[list[float]]:
    """Run the actions in turns, `repeats` times; return the seconds of each run by action.

    Args:
        repeats: runs of each action.
        actions: what to measure. An action that returns a float has measured itself.
        prepare: runs before each action and is not measured.
    """
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats):
        for action, runs in zip(actions, seconds, strict=True):
            prepare()
            start = time.monotonic()
            measured = action()
            elapsed = time.monotonic() - start
            runs.append(round(measured if isinstance(measured, float) else elapsed, 3))
    return seconds
