"""run.nonroot: every process runs as the contract's user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import PROC_STATUS, observed_processes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts


@check(
    "run.nonroot",
    "containers",
    title="Every process runs with the contract's uid and gid, and no other group",
    why="An entry point, a compose file or a setuid program can make a process root, whatever the "
    "image's user is. Each further group gives access to more files.",
    remedy="Remove `user:` and `group_add:` from the compose file, and setuid programs and "
    "memberships in /etc/group from the image.",
    reference=f"CIS Docker Benchmark 4.1; {PROC_STATUS}; credentials(7)",
)
def nonroot(contract: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process with another uid or gid, or with a further group."""
    for item in observed_processes(facts):
        if isinstance(item, Finding):
            yield item
            continue
        name, process = item
        extra_groups = [group for group in process.groups if group != contract.gid]
        if set(process.uids) != {contract.uid} or set(process.gids) != {contract.gid}:
            yield Finding(
                f"{name} has uids {process.uids} and gids {process.gids}, expected {contract.user}",
                # the effective ids, second of four in /proc/PID/status
                measured=":".join(str(ids[1]) for ids in (process.uids, process.gids) if ids[1:]),
                bound=contract.user,
            )
        elif extra_groups:
            groups = " ".join("root" if group == 0 else str(group) for group in extra_groups)
            yield Finding(
                f"{name} is in the group {groups}, expected only {contract.gid}",
                measured=" ".join(map(str, process.groups)),
                bound=contract.gid,
            )
