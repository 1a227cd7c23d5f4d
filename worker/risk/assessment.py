"""Assessment of an upgrade: the findings of all signals, and one risk from them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from worker.change import Change
from worker.risk.moved_files import with_moves
from worker.risk.signal import SIGNALS, Finding

MIN_MAJOR_WEIGHT = 0.2
"""Weight from which a signal counts in full."""
MAX_MINOR_RISK = 0.2
"""Maximum risk of all signals below MIN_MAJOR_WEIGHT together."""


@dataclass(frozen=True)
class Assessment:
    """Risk of an upgrade, from 0 to 1, and its findings, highest weight first."""

    risk: float
    findings: tuple[Finding, ...]


def assess(change: Change, now: datetime) -> Assessment:
    """Assess `change` with all signals; `now` is the time of the review, with a time zone."""
    change = with_moves(change)
    findings = [f for signal in SIGNALS.values() for f in signal.findings(change, now)]
    findings.sort(key=lambda f: (-f.weight, f.signal))  # stable: "and N more" stays last
    return Assessment(total_risk(findings), tuple(findings))


def total_risk(findings: Iterable[Finding]) -> float:
    """Return the risk of all findings; docs/risk.md explains the formula.

    Each signal counts once, with its highest weight. Another finding never lowers the risk, and
    the order does not matter.
    """
    max_weight: dict[str, float] = {}
    for finding in findings:
        max_weight[finding.signal] = max(finding.weight, max_weight.get(finding.signal, 0.0))
    # Sorted: the order of the factors could change the product's last digits.
    weights = sorted(max_weight.values())
    minor = min(MAX_MINOR_RISK, 1 - math.prod(1 - w for w in weights if w < MIN_MAJOR_WEIGHT))
    safe = math.prod(1 - w for w in weights if w >= MIN_MAJOR_WEIGHT)
    return round(1 - (1 - minor) * safe, 4)
