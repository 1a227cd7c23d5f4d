"""run.seccomp: every process runs under a seccomp filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import observed_processes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts

FILTER_MODE = 2  # seccomp(2); the engine's profile sets it
OTHER_MODES = {0: "without a filter", 1: "in strict mode"}


@check(
    "run.seccomp",
    "containers",
    title="Every process runs under a seccomp filter",
    why="The engine's profile blocks some fifty system calls that a service never needs, and that "
    "most container escapes start with.",
    remedy="Remove `seccomp:unconfined` and `privileged` from the compose file.",
    reference="CIS Docker Benchmark 5.22; https://docs.docker.com/engine/security/seccomp/",
)
def seccomp(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process without a seccomp filter (mode 2)."""
    for item in observed_processes(facts):
        if isinstance(item, Finding):
            yield item
            continue
        name, process = item
        if process.seccomp is None:
            yield Finding(f"{name}: this kernel does not report the seccomp mode", unknown=True)
        elif process.seccomp != FILTER_MODE:
            mode = OTHER_MODES.get(process.seccomp, f"in mode {process.seccomp}")
            yield Finding(
                f"{name} runs {mode}, expected a seccomp filter",
                measured=process.seccomp,
                bound=FILTER_MODE,
            )
