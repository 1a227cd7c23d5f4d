"""How risky an upgrade is: documented signals, and one number out of what they find.

Everything here is a pure function of the change and the time of the review. The signals stand in
modules by subject; each is registered when its module is imported, which happens here.
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
from worker.risk.assessment import Assessment, assess, combine
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
    "combine",
    "combined",
    "dependencies",
    "files",
    "manifest",
    "obfuscation",
    "printable",
    "registry_metadata",
    "strings",
]
