"""Release history of a stack: one immutable Docker config for each release that was proven to run.

Swarm itself stores only the specification before the last change of a service. Any change replaces
it, and it can be one that never ran. `docker stack rm` removes the history with the stack.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field, PositiveInt, ValidationError

from imageproof import console
from imageproof.contract import Model
from imageproof.swarm.state import NAMESPACE, Service, release_settings

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

LABEL = "imageproof.release"  # of the configs; its value is the release's number
MAX_RECORDS = 5
MAX_NAME_LENGTH = 64  # swarmkit, config names
DIGEST_DIGITS = 12


class Record(Model):
    """A release of a stack that ran with all tasks healthy.

    A rollback adds a record too: a copy of the restored release, whose number is its `origin`.
    """

    number: PositiveInt
    origin: PositiveInt
    revision: str = ""  # commit; empty if it is unknown
    specs: dict[str, dict[str, Any]] = Field(min_length=1)  # by service


@dataclass(frozen=True)
class History:
    """The records of a stack, oldest first, with the name and creation time of their configs."""

    records: Sequence[Record] = ()
    configs: Mapping[int, str] = field(default_factory=dict)  # name by number
    created: Mapping[int, str] = field(default_factory=dict)  # by number

    @property
    def last(self) -> Record | None:
        """The last release that was proven to run."""
        return self.records[-1] if self.records else None

    def number(self, number: int) -> Record | None:
        """Return the record with this number."""
        return next((record for record in self.records if record.number == number), None)

    def running(self, services: Mapping[str, Service]) -> Record | None:
        """Return the newest record that the services match; None if they match none.

        A number of tasks that was changed by hand does not make another release.
        """
        newest_first = list(reversed(self.records))
        exact = (record for record in newest_first if not differing(record.specs, services))
        scaled = (
            record
            for record in newest_first
            if not differing(record.specs, services, replicas=False)
        )
        return next(exact, None) or next(scaled, None)

    def before(self, record: Record) -> Record | None:
        """Return the release that ran before a record, and before the release that it restored."""
        earlier = [
            other
            for other in self.records
            if other.number < record.origin and not _same(other.specs, record.specs)
        ]
        return earlier[-1] if earlier else None

    @property
    def next_number(self) -> int:
        """The number of the next record."""
        return self.last.number + 1 if self.last else 1

    def with_next(self, specs: Mapping[str, Mapping[str, Any]]) -> History:
        """Return the history after a deployment of these specifications."""
        number = self.next_number
        record = Record(number=number, origin=number, specs={k: dict(s) for k, s in specs.items()})
        later = replace(self, records=[*self.records, record])
        return replace(later, records=[r for r in later.records if r not in later.surplus()])

    def surplus(self) -> list[Record]:
        """Return records beyond MAX_RECORDS: those that no rollback reaches, then the oldest."""
        reachable, step = set(), self.last
        while step:
            reachable.add(step.number)
            step = self.before(step)
        least_useful_first = sorted(self.records, key=lambda r: (r.number in reachable, r.number))
        return least_useful_first[: max(0, len(self.records) - MAX_RECORDS)]


def read_history(engine: Engine, stack: str) -> History:
    """Return the release history of a stack, without records of a format that is unknown here."""
    action = f"reading the release history of {stack}"
    labels = quote(json.dumps({"label": [f"{NAMESPACE}={stack}", LABEL]}))
    records, configs, created = [], {}, {}
    for config in engine.request(action, "GET", f"/configs?filters={labels}"):
        name = config["Spec"]["Name"]
        try:
            record = Record.model_validate_json(base64.b64decode(config["Spec"]["Data"]))
        except (KeyError, ValueError, ValidationError):
            console.warn(f"the config {name} is no release of this version of imageproof: ignored")
            continue
        records.append(record)
        configs[record.number] = name
        created[record.number] = config["CreatedAt"]
    return History(sorted(records, key=lambda record: record.number), configs, created)


def add_record(
    engine: Engine,
    stack: str,
    history: History,
    services: Mapping[str, Service],
    *,
    revision: str = "",
    restored: Record | None = None,
) -> History:
    """Record that the services run, unless the last record says so; return the new history.

    Args:
        engine: A manager's engine.
        stack: The stack's name.
        history: The history before; afterwards it has at most MAX_RECORDS records.
        services: The services as they run, all of them healthy.
        revision: The commit of their images.
        restored: The record that they run again, after a rollback or with another number of tasks.
    """
    if history.last and not differing(history.last.specs, services):
        return history
    record = Record(
        number=(number := history.next_number),
        origin=restored.origin if restored else number,
        revision=restored.revision if restored else revision,
        specs={name: release_settings(service.spec) for name, service in services.items()},
    )
    text = record.model_dump_json()
    digest = hashlib.sha256(f"{stack}/{text}".encode()).hexdigest()[:DIGEST_DIGITS]
    suffix = f".release-{number}-{digest}"
    engine.query(
        f"recording release {number} of {stack}",
        *("config", "create", "--label", f"{NAMESPACE}={stack}", "--label", f"{LABEL}={number}"),
        *(stack[: MAX_NAME_LENGTH - len(suffix)] + suffix, "-"),
        stdin=text,
    )
    history = read_history(engine, stack)
    if surplus := history.surplus():
        names = [history.configs[old.number] for old in surplus]
        engine.query(f"removing old releases of {stack}", "config", "rm", *names)
        history = read_history(engine, stack)
    return history


def differing(
    specs: Mapping[str, Mapping[str, Any]],
    services: Mapping[str, Service],
    *,
    replicas: bool = True,
) -> list[str]:
    """Return the services that differ from a release's specifications, or exist on one side only.

    Args:
        specs: The specifications, by service.
        services: The services of the swarm.
        replicas: Compare the wanted numbers of tasks too.
    """
    running = {name: service.spec for name, service in services.items()}
    return [
        name
        for name in sorted(specs.keys() | running.keys())
        if name not in specs
        or name not in running
        or _settings(specs[name], replicas=replicas) != _settings(running[name], replicas=replicas)
    ]


def _settings(spec: Mapping[str, Any], *, replicas: bool) -> dict[str, Any]:
    settings = release_settings(spec)
    if not replicas and "Replicated" in settings["Mode"]:
        settings["Mode"] = {"Replicated": {}}
    return settings


def _same(specs: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> bool:
    return {name: release_settings(spec) for name, spec in specs.items()} == {
        name: release_settings(spec) for name, spec in other.items()
    }
