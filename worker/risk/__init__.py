"""Risk of an upgrade: documented signals, and one number from their findings.

All functions are pure: they depend on the change and the time of the review only. Each module
covers one subject. Importing it, below, registers its signals.
"""

from worker.risk import (
    code,
    combined,
    dependencies,
    files,
    manifest,
    obfuscation,
    registry_metadata,
    strings,
)
from worker.risk.assessment import Assessment, assess, total_risk
from worker.risk.signal import MAX_FINDINGS, SIGNALS, Finding, Signal
from worker.risk.text import printable

__all__ = [
    "MAX_FINDINGS",
    "SIGNALS",
    "Assessment",
    "Finding",
    "Signal",
    "assess",
    "code",
    "combined",
    "dependencies",
    "files",
    "manifest",
    "obfuscation",
    "printable",
    "registry_metadata",
    "strings",
    "total_risk",
]
