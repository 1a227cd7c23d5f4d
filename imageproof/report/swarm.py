"""Status of a stack on a swarm, and the changes of a deployment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.redaction import redact
from imageproof.report.format_option import require_format
from imageproof.report.summary import plain_table

if TYPE_CHECKING:
    from imageproof.swarm.plan import ServicePlan
    from imageproof.swarm.state import Service, Task

MAX_DIGEST_DIGITS = 12  # hexadecimal digits of a digest shown in the table
FAILED_STATES = ("failed", "rejected")  # shown even if Swarm has replaced the task
FORMATS = ("json", "table")


def print_plans(plans: Iterable[ServicePlan]) -> None:
    """Print each service with the settings that the deployment changes."""
    for plan in plans:
        console.write(f"{plan.service:10}  {plan.kind}")
        for change in plan.changes:
            before, after = (redact(text) or "-" for text in (change.before, change.after))
            console.write(f"            {change.setting}: {before} → {after}")


def print_status(services: Mapping[str, Service], format_: str = "table") -> None:
    """Print each service with its tasks: node, state, since when, and error.

    Raises:
        UsageError: The format is unknown.
    """
    require_format(format_, FORMATS)
    if format_ == "json":
        console.write(json.dumps([_row(service) for service in services.values()], indent=2))
        return
    table = plain_table("service", "tasks", "task", "node", "state", "since", "image", "error")
    for service in services.values():
        count = f"{len(service.running)}/{service.replicas}"
        table.add_row(service.name, count, "", "", service.update, "", _short(service.image))
        for task in _shown_tasks(service):
            since = task.since[: len("2026-01-01T00:00:00")]
            place = (task.name, task.node or "-", _state(task), since)
            table.add_row("", "", *place, _short(task.image), redact(task.error))
    console.show(table)


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


def _row(service: Service) -> dict[str, object]:
    return {
        "service": service.name,
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
