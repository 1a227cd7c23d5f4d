"""run.health-notices: the health check notices a hanging service in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.stack_trial import TrialFacts

ENGINE_DELAY_SECONDS = 2.0  # the engine takes longer than the health check's times


@check(
    "run.health-notices",
    "trial",
    title="A service that hangs becomes unhealthy in time, and healthy again afterwards",
    why="A health check that queries the wrong thing, or reads a stale file, reports healthy while "
    "the service answers nothing.",
    remedy="Let the probe query the program itself (a request, or a heartbeat with a short limit). "
    "Keep (interval + timeout) x retries below the contract's notices_within.",
    reference="https://docs.docker.com/reference/dockerfile/#healthcheck; signal(7): SIGSTOP",
)
def health_notices(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail if the service becomes unhealthy too late after SIGSTOP, or not healthy after SIGCONT.

    The limit is the time by the health check's configuration plus ENGINE_DELAY_SECONDS.
    """
    if facts.unknown:
        yield Finding(facts.unknown, unknown=True)
        return
    limit = facts.bound + ENGINE_DELAY_SECONDS
    if facts.unhealthy_after is None:
        yield Finding(
            f"with every process stopped it was not unhealthy after {facts.wait_limit:.0f} s, "
            f"the limit is {limit:.0f} s",
            measured=f"over {facts.wait_limit:.0f}",
            bound=limit,
        )
    elif facts.unhealthy_after > limit:
        yield Finding(
            f"with every process stopped it was unhealthy after {facts.unhealthy_after:.1f} s, "
            f"the limit is {limit:.0f} s",
            measured=round(facts.unhealthy_after, 1),
            bound=limit,
        )
    elif facts.healthy_after is None:
        yield Finding(
            f"it was not healthy again {facts.wait_limit:.0f} s after its processes continued",
            bound=facts.wait_limit,
        )
