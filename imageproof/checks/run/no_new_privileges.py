"""run.no-new-privileges: no process can gain privileges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import observed_processes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts


@check(
    "run.no-new-privileges",
    "containers",
    title="No process can gain privileges",
    why="With no_new_privs, the kernel ignores setuid bits and file capabilities.",
    remedy='Write `security_opt: ["no-new-privileges:true"]` in the compose file.',
    reference="CIS Docker Benchmark 5.26; https://docs.kernel.org/userspace-api/no_new_privs.html",
)
def no_new_privileges(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process without no_new_privs."""
    for item in observed_processes(facts):
        if isinstance(item, Finding):
            yield item
            continue
        name, process = item
        if not process.no_new_privileges:
            message = f"{name} can gain privileges: no_new_privs is 0, expected 1"
            yield Finding(message, measured=0, bound=1)
