"""run.healthy: every container became healthy in time and stayed so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts


@check(
    "run.healthy",
    "containers",
    title="Every container became healthy in time, without recent restarts and within its memory",
    why="A service that runs again after a crash looks healthy until the next crash. An old "
    "restart is a warning: the container has run for longer than `ready_within` since.",
    remedy="`./inv logs --service SERVICE` and `docker inspect` show the reason.",
    reference="https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthy(contract: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for a container that is unhealthy, was healthy late, was restarted or lost a process."""
    if not facts:
        yield Finding("the service has no container", unknown=True)
    limit = contract.health.ready_within
    for container in facts:
        if container.status != "running":
            yield Finding(
                f"{container.name} is {container.status}, expected running{_output(container)}",
                measured=container.status,
                bound="running",
            )
        elif container.health != "healthy":
            yield Finding(
                f"{container.name} is {container.health or 'without a health check'}, expected "
                f"healthy{_output(container)}",
                measured=container.health or "no health check",
                bound="healthy",
            )
        elif container.ready_after and container.ready_after > limit:
            yield Finding(
                f"{container.name} was healthy after {container.ready_after:.1f} s, "
                f"the limit is {limit:g} s",
                measured=round(container.ready_after, 1),
                bound=limit,
            )
        if container.restarts:
            is_old = container.uptime >= limit
            count = "1 time" if container.restarts == 1 else f"{container.restarts} times"
            yield Finding(
                f"{container.name} was restarted {count}, expected 0; "
                f"it has run for {container.uptime:.0f} s since",
                measured=container.restarts,
                bound=0,
                warning=is_old,
            )
        if container.out_of_memory:
            yield Finding(f"{container.name}: the kernel killed a process for lack of memory")


def _output(container: ContainerFacts) -> str:
    """Return the last output of the health check and the end of the log, to append to a message."""
    output, log = container.health_output, " | ".join(container.log)
    printed = f"; its health check printed: {output}" if output else ""
    return printed + (f"; its log ends: {log}" if log else "")
