"""run.reaps: PID 1 waits for orphaned children."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.stack_trial import TrialFacts


@check(
    "run.reaps",
    "trial",
    title="No zombie stays: PID 1 waits for orphaned children",
    why="Each zombie keeps an entry of the process table. If PID 1 never waits, the service "
    "reaches pids_limit and can start no process.",
    remedy="Write `init: true` in the compose file, or use a PID 1 that waits for every child.",
    reference="pid_namespaces(7); https://docs.docker.com/reference/compose-file/services/#init",
)
def reaps(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail if orphaned children that ended stay as zombies."""
    if facts.unknown or facts.zombies is None or not facts.orphans:
        yield Finding(facts.unknown or "no child was orphaned", unknown=True)
    elif facts.zombies:
        yield Finding(
            f"{facts.zombies} of {facts.orphans} orphaned children stay as zombies, expected 0",
            measured=facts.zombies,
            bound=0,
        )
