"""run.stop: a service ends by itself, within its stop timeout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.stack_trial import TrialFacts

EXPECTED_STATUSES = {0, 143}  # 143 = 128 + SIGTERM
KILLED_STATUS = 137  # 128 + SIGKILL


@check(
    "run.stop",
    "trial",
    title="A stopped service ends by itself, within its stop timeout",
    why="A service that does not handle SIGTERM is killed after the whole timeout: it loses the "
    "requests in progress, and each deployment waits.",
    remedy="Handle SIGTERM, and start the program in exec form or under `init: true`.",
    reference="https://docs.docker.com/reference/cli/docker/container/stop/",
)
def stop(contract: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail for an exit status other than 0 and 143, such as SIGKILL's, and for a late end."""
    if facts.unknown or facts.exit_status is None or facts.stopped_after is None:
        yield Finding(facts.unknown or "it was not stopped", unknown=True)
    elif facts.exit_status not in EXPECTED_STATUSES:
        verb = "was killed" if facts.exit_status == KILLED_STATUS else "ended"
        yield Finding(
            f"it {verb} with status {facts.exit_status} after {facts.stopped_after:.1f} s, "
            "expected status 0 or 143",
            measured=facts.exit_status,
            bound="0 or 143",
        )
    elif facts.stopped_after > contract.stop_timeout:
        yield Finding(
            f"it took {facts.stopped_after:.1f} s to end, the limit is {contract.stop_timeout:g} s",
            measured=round(facts.stopped_after, 1),
            bound=contract.stop_timeout,
        )
