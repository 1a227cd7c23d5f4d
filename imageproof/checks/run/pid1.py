"""run.pid1: the first process handles the stop signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import no_process, observed
from imageproof.checks.stop_signals import signal_number

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Process


@check(
    "run.pid1",
    "containers",
    title="The first process handles the stop signal",
    why="The kernel drops a signal that PID 1 does not handle: each stop then takes its whole "
    "timeout and ends in SIGKILL.",
    remedy="Write `init: true` in the compose file, or handle the signal in the program; start it "
    "without a shell.",
    reference="pid_namespaces(7); https://docs.docker.com/reference/compose-file/services/#init",
)
def pid1(contract: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail if the first process neither catches the signal, nor blocks it, nor awaits it."""
    signal = signal_number(contract.stop_signal)
    for item in observed(facts, "processes"):
        if isinstance(item, Finding):
            yield item
            continue
        container, processes = item
        first = next((process for process in processes if process.pid == 1), None)
        if first is None:
            yield no_process(container, 1)
        elif signal is None:
            yield Finding(f"the number of {contract.stop_signal} is unknown", unknown=True)
        elif not _handles(first, signal):
            is_ignored = _contains(first.ignored, signal)
            if first.awaited is None and not is_ignored:  # it may await the signal
                yield Finding(f"{container.name}: {container.reason('awaited')}", unknown=True)
                continue
            verb = "ignores" if is_ignored else "has no handler for"
            yield Finding(
                f"{container.name}: process 1 ({first.name}) {verb} {contract.stop_signal}"
            )


def _handles(process: Process, signal: int) -> bool:
    return _contains(process.caught | process.blocked | (process.awaited or 0), signal)


def _contains(signals: int, signal: int) -> bool:
    """Return whether a set of signals, a bit for each, contains a signal."""
    return bool(signals >> (signal - 1) & 1)
