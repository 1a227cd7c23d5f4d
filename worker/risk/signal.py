"""Signal: an id, a weight, a reason, and a pure function that detects it; the list of all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change
from worker.risk.text import MAX_LINE_CHARS, MAX_PATH_CHARS, printable

MAX_FINDINGS = 20  # of one signal; the rest is counted


@dataclass(frozen=True)
class Finding:
    """One finding. Its path and text are printable and limited in length."""

    signal: str
    weight: float  # from 0 to 1
    path: str  # "": the whole version
    line: int | None  # in the new file
    text: str


@dataclass(frozen=True)
class Observation:
    """Observation of a signal's detector, with untrusted texts."""

    text: str
    path: str = ""
    line: int | None = None
    share: float = 1.0  # of the signal's weight; lower for a weaker sign


Detector = Callable[[Change, datetime], Iterator[Observation]]


@dataclass(frozen=True)
class Signal:
    """One documented sign of risk; `weight` is the maximum weight of a finding."""

    id: str
    weight: float
    title: str
    why: str
    detector: Detector

    def detect(self, change: Change, now: datetime) -> Iterator[Finding]:
        """Yield all findings in `change`; `now` is the time of the review, with a time zone."""
        for observation in self.detector(change, now):
            yield Finding(
                signal=self.id,
                weight=round(self.weight * observation.share, 3),
                path=printable(observation.path, MAX_PATH_CHARS),
                line=observation.line,
                text=printable(observation.text, MAX_LINE_CHARS),
            )

    def findings(self, change: Change, now: datetime) -> tuple[Finding, ...]:
        """Return the MAX_FINDINGS findings of highest weight, and one that counts the rest."""
        top: list[Finding] = []
        count = 0
        for finding in self.detect(change, now):
            count += 1
            top.append(finding)
            if len(top) > 50 * MAX_FINDINGS:  # limits memory, and sorts rarely
                top = sorted(top, key=_rank)[:MAX_FINDINGS]
        top = sorted(top, key=_rank)[:MAX_FINDINGS]
        if count > len(top):
            more = f"and {count - len(top)} more"
            top.append(Finding(self.id, top[-1].weight, "", None, more))
        return tuple(top)


def _rank(finding: Finding) -> tuple[float, str, int, str]:
    return -finding.weight, finding.path, finding.line or 0, finding.text


SIGNALS: dict[str, Signal] = {}
"""All signals by id."""


def signal(id_: str, weight: float, *, title: str, why: str) -> Callable[[Detector], Detector]:
    """Register the decorated function as the detector of a signal."""

    def register(detector: Detector) -> Detector:
        if id_ in SIGNALS:
            raise ValueError(f"cannot register {id_}: another signal has this id")
        SIGNALS[id_] = Signal(id_, weight, title, why, detector)
        return detector

    return register
