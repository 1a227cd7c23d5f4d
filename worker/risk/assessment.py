"""One number out of many findings."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change
from worker.risk.moved_files import with_moves
from worker.risk.signal import SIGNALS, Finding

GRAVE = 0.2
"""Weight from which a signal counts in full."""
TRIVIAL_CAP = 0.2
"""What all signals below GRAVE come to, at the most, together."""


@dataclass(frozen=True)
class Assessment:
    """How risky an upgrade is, from 0 to 1, and what was found, the gravest first."""

    risk: float
    findings: tuple[Finding, ...]


def assess(change: Change, now: datetime) -> Assessment:
    """Look for every signal in `change`; `now` is the time of the review, aware."""
    change = with_moves(change)
    findings = [f for signal in SIGNALS.values() for f in signal.findings(change, now)]
    findings.sort(key=lambda f: (-f.weight, f.signal))  # stable: "and N more" stays last
    return Assessment(combine(findings), tuple(findings))


def combine(findings: Iterable[Finding]) -> float:
    """Return the risk: docs/risk.md has the formula and the reasons.

    Each signal counts once, by its gravest finding. Any finding more raises the risk or leaves
    it, and the order does not matter.
    """
    gravest: dict[str, float] = {}
    for finding in findings:
        gravest[finding.signal] = max(finding.weight, gravest.get(finding.signal, 0.0))
    weights = sorted(gravest.values())  # floating point: the order of factors shows in the end
    trivial = min(TRIVIAL_CAP, 1 - math.prod(1 - w for w in weights if w < GRAVE))
    safe = math.prod(1 - w for w in weights if w >= GRAVE)
    return round(1 - (1 - trivial) * safe, 4)
