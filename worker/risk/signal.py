"""What a signal is: an id, a weight, why it matters, and a pure function that looks for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change
from worker.risk.text import LINE_CHARS, PATH_CHARS, printable

MAX_FINDINGS = 20  # of one signal; what is beyond is counted


@dataclass(frozen=True)
class Finding:
    """One thing that was found. Path and text are bounded and can be printed."""

    signal: str
    weight: float  # from 0 to 1
    path: str  # "": the release as a whole
    line: int | None  # in the new file
    text: str


@dataclass(frozen=True)
class Seen:
    """What the function of a signal saw, in the words of strangers."""

    text: str
    path: str = ""
    line: int | None = None
    share: float = 1.0  # of the signal's weight: less where it means less


Look = Callable[[Change, datetime], Iterator[Seen]]


@dataclass(frozen=True)
class Signal:
    """One documented sign of risk; `weight` is the most that a finding of it weighs."""

    id: str
    weight: float
    title: str
    why: str
    look: Look

    def detect(self, change: Change, now: datetime) -> Iterator[Finding]:
        """Yield everything that is new in `change`; `now` is the time of the review, aware."""
        for seen in self.look(change, now):
            yield Finding(
                signal=self.id,
                weight=round(self.weight * seen.share, 3),
                path=printable(seen.path, PATH_CHARS),
                line=seen.line,
                text=printable(seen.text, LINE_CHARS),
            )

    def findings(self, change: Change, now: datetime) -> tuple[Finding, ...]:
        """Return the gravest MAX_FINDINGS, and one more that says how many are left out."""
        kept: list[Finding] = []
        count = 0
        for finding in self.detect(change, now):
            count += 1
            kept.append(finding)
            if len(kept) > 50 * MAX_FINDINGS:  # memory is bounded, whatever there is to find
                kept = sorted(kept, key=_gravest_first)[:MAX_FINDINGS]
        kept = sorted(kept, key=_gravest_first)[:MAX_FINDINGS]
        if count > len(kept):
            more = f"and {count - len(kept)} more"
            kept.append(Finding(self.id, kept[-1].weight, "", None, more))
        return tuple(kept)


def _gravest_first(finding: Finding) -> tuple[float, str, int, str]:
    return -finding.weight, finding.path, finding.line or 0, finding.text


SIGNALS: dict[str, Signal] = {}
"""Every signal, by its id."""


def signal(id_: str, weight: float, *, title: str, why: str) -> Callable[[Look], Look]:
    """Register a function as the one that looks for the signal of that id."""

    def register(look: Look) -> Look:
        if id_ in SIGNALS:
            raise ValueError(f"two signals are called {id_}")
        SIGNALS[id_] = Signal(id_, weight, title, why, look)
        return look

    return register
