"""run.limits: the kernel limits memory, processes and processors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import observed

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts

UNITS = {"memory": "bytes", "pids": "processes", "cpu": "processors"}


@check(
    "run.limits",
    "containers",
    title="The kernel limits memory, processes and processors",
    why="Without limits, one service that leaks or forks takes the whole host. An engine that "
    "cannot set a limit only prints a warning.",
    remedy="Set `mem_limit`, `pids_limit` and `cpus` in the compose file, or "
    "`deploy.resources.limits`.",
    reference="CIS Docker Benchmark 5.11, 5.12, 5.29; cgroups(7)",
)
def limits(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each limit that the container's cgroup does not have."""
    for item in observed(facts, "limits"):
        if isinstance(item, Finding):
            yield item
            continue
        container, limits_in_kernel = item
        for name, unit in UNITS.items():
            if name in limits_in_kernel.missing:
                yield Finding(
                    f"{container.name}: the kernel does not report a limit of {name}", unknown=True
                )
            elif getattr(limits_in_kernel, name) is None:
                requested = getattr(container.requested_limits, name)
                request = f", {_number(requested)} {unit} were requested" if requested else ""
                yield Finding(
                    f"{container.name}: {name} has no limit{request}",
                    measured="unbounded",
                    bound=requested,
                )


def _number(value: float) -> str:
    """Return a number as text, an integer without a decimal point."""
    return str(int(value) if float(value).is_integer() else value)
