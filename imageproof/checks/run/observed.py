"""Access to the facts of running containers: missing facts become `unknown` findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from imageproof.checks.check import Finding

if TYPE_CHECKING:
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Process

PROC_STATUS = "proc(5): /proc/PID/status"  # reference of most checks of processes


def observed(
    containers: Sequence[ContainerFacts], part: str
) -> Iterator[tuple[ContainerFacts, Any] | Finding]:
    """Yield each container with one attribute of its facts, or a finding if that is unknown.

    Args:
        containers: The containers of a service.
        part: The attribute of ContainerFacts, such as `processes`.
    """
    if not containers:
        yield Finding("the service has no container", unknown=True)
    for container in containers:
        value = getattr(container, part)
        if value is None:
            yield Finding(f"{container.name}: {container.reason(part)}", unknown=True)
        else:
            yield container, value


def observed_processes(
    containers: Sequence[ContainerFacts],
) -> Iterator[tuple[str, Process] | Finding]:
    """Yield each process with its name for messages, or a finding if it is unknown."""
    for item in observed(containers, "processes"):
        if isinstance(item, Finding):
            yield item
            continue
        container, processes = item
        if not processes:
            yield no_process(container)
        for process in processes:
            yield f"{container.name}: process {process.pid} ({process.name})", process


def no_process(container: ContainerFacts, pid: int | None = None) -> Finding:
    """Return the finding that the probe saw no process, or none with this pid."""
    process = "process" if pid is None else f"process {pid}"
    return Finding(f"{container.name}: the probe saw no {process}", unknown=True)
