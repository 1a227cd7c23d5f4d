"""A stack on a swarm, for people and machines: what runs where, and what a deployment changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import UsageError
from imageproof.redaction import redact

if TYPE_CHECKING:
    from imageproof.swarm.plan import ServicePlan
    from imageproof.swarm.state import Service, Task

DIGEST = 12  # characters of a digest that a table shows
TROUBLE = ("failed", "rejected")  # of the past, that a status still tells
FORMATS = ("json", "table")


def known(form: str) -> None:
    """Raise UsageError for a format that is none."""
    if form not in FORMATS:
        hint = f"formats: {', '.join(FORMATS)}"
        raise UsageError("reading the command line", f"there is no format {form!r}", hint=hint)


def plans(found: Iterable[ServicePlan]) -> None:
    """Each service, and each setting that would change; the values of secrets are not known."""
    for service in found:
        console.write(f"{service.service:10}  {service.kind}")
        for change in service.changes:
            before, after = (redact(text) or "-" for text in (change.before, change.after))
            console.write(f"            {change.setting}: {before} → {after}")


def status(services: Mapping[str, Service], form: str = "table") -> None:
    """Each service with its tasks: where they run, since when, and why they do not."""
    known(form)
    if form == "json":
        console.write(json.dumps([_row(service) for service in services.values()], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("service", "tasks", "task", "node", "state", "since", "image", "error"):
        table.add_column(heading)
    for service in services.values():
        count = f"{len(service.running)}/{service.replicas}"
        table.add_row(service.name, count, "", "", service.update, "", _short(service.image))
        for task in _worth_telling(service):
            table.add_row(
                *("", "", task.name, task.node or "-", _state(task), task.since[:19]),
                *(_short(task.image), redact(task.error)),
            )
    console.show(table)


def _worth_telling(service: Service) -> list[Task]:
    return [task for task in service.tasks if task.wanted or task.state in TROUBLE]


def _state(task: Task) -> str:
    """`running` is healthy as well, where the image has a health check."""
    return task.state if task.wanted else f"{task.state} (history)"


def _short(image: str) -> str:
    name, _, digest = image.rpartition("@")
    return f"{name.rpartition('/')[2]}@{digest[: len('sha256:') + DIGEST]}" if name else image


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
            for task in _worth_telling(service)
        ],
    }
