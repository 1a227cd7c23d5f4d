"""Status of a stack on a swarm, and the changes of a deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.redaction import redact
from imageproof.report.format_option import require_format
from imageproof.report.summary import plain_table
from imageproof.swarm.history import differing
from imageproof.swarm.rollback import describe

if TYPE_CHECKING:
    from imageproof.swarm.history import History, Record
    from imageproof.swarm.plan import Plan
    from imageproof.swarm.state import Service, Task

MAX_DIGEST_DIGITS = 12  # hexadecimal digits of a digest shown in the table
FAILED_STATES = ("failed", "rejected")  # shown even if Swarm has replaced the task
FORMATS = ("json", "table")


def print_plan(plan: Plan) -> None:
    """Print each service with the settings that change, and the other objects that change."""
    for service in plan.services:
        console.write(f"{service.service:10}  {service.kind}")
        for change in service.changes:
            before, after = (redact(text) or "-" for text in (change.before, change.after))
            console.write(f"            {change.setting}: {before} → {after}")
    for line in plan.others:
        console.write(redact(line))


def print_status(services: Mapping[str, Service], history: History, format_: str = "table") -> None:
    """Print the releases, and each service with its tasks: node, state, since when, and error.

    Raises:
        UsageError: The format is unknown.
    """
    require_format(format_, FORMATS)
    running = history.running(services)
    if format_ == "json":
        rows = [_row(service, running, history) for service in services.values()]
        console.write(json.dumps(rows, indent=2))
        return
    for line in _releases(services, history, running):
        console.write(line)
    table = plain_table("service", "tasks", "task", "node", "state", "since", "image", "error")
    for service in services.values():
        count = f"{len(service.running)}/{service.replicas}"
        table.add_row(service.name, count, "", "", service.update, "", _short(service.image))
        for task in _shown_tasks(service):
            since = task.since[: len("2026-01-01T00:00:00")]
            place = (task.name, task.node or "-", _state(task), since)
            table.add_row("", "", *place, _short(task.image), redact(task.error))
    console.show(table)


def _releases(
    services: Mapping[str, Service], history: History, running: Record | None
) -> Iterator[str]:
    """Yield a line about the release that runs, and one about the release before."""
    if running:
        line = f"running: {describe(running)}, recorded {_time(history, running)}"
        scaled = differing(running.specs, services)
        unsettled = [name for name, service in services.items() if not service.settled]
        if scaled:
            line += f"; number of tasks changed: {', '.join(scaled)}"
        yield f"{line}; " + (f"not settled: {', '.join(unsettled)}" if unsettled else "tasks match")
        before = history.before(running)
    else:
        before = history.last
        changed = ", ".join(differing(before.specs, services)) if before else ""
        since = f" (differs from release {before.number}: {changed})" if before else ""
        yield f"running: no recorded release{since}"
    if before:
        yield f"before:  {describe(before)}, recorded {_time(history, before)}"
    else:
        yield "before:  no recorded release"
    if numbers := ", ".join(str(record.number) for record in history.records):
        yield f"recorded releases: {numbers}"


def _time(history: History, record: Record) -> str:
    return history.created[record.number][: len("2026-01-01T00:00:00")]


def _shown_tasks(service: Service) -> list[Task]:
    return [task for task in service.tasks if task.wanted or task.state in FAILED_STATES]


def _state(task: Task) -> str:
    """Return a task's state; `running` means healthy if the image has a health check."""
    return task.state if task.wanted else f"{task.state} (history)"


def _short(image: str) -> str:
    """Return an image reference without its registry, with its digest shortened."""
    name, _, digest = image.rpartition("@")
    if not name:
        return image
    return f"{name.rpartition('/')[2]}@{digest[: len('sha256:') + MAX_DIGEST_DIGITS]}"


def _row(service: Service, running: Record | None, history: History) -> dict[str, object]:
    before = history.before(running) if running else history.last
    return {
        "service": service.name,
        "release": running.number if running else None,
        "release_before": before.number if before else None,
        "image": service.image,
        "replicas": service.replicas,
        "running": len(service.running),
        "update": service.update,
        "settled": service.settled,
        "tasks": [
            {
                "task": task.name,
                "node": task.node,
                "state": task.state,
                "desired": task.desired,
                "since": task.since,
                "image": task.image,
                "error": redact(task.error),
            }
            for task in _shown_tasks(service)
        ],
    }
