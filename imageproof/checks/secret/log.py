"""secret.log: the secrets of a service stay out of its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.stack_trial import TrialFacts


@check(
    "secret.log",
    "trial",
    title="No secret of the service is in its log",
    why="Logs are copied to more places than anything else, and read by more people.",
    remedy="Redact secrets in the logger; never log a whole configuration or URL.",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html",
)
def log(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail for each canary in the log: the service got canaries instead of its secrets."""
    if facts.unknown:
        yield Finding(facts.unknown, unknown=True)
    for name in facts.logged:
        yield Finding(f"the value of {name} is in the log")
