"""Plan of a deployment or a rollback: what it would change. Making it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imageproof.redaction import is_secret
from imageproof.swarm import secrets
from imageproof.swarm.deploy import is_unrecorded, post
from imageproof.swarm.dry_run import Change as Request
from imageproof.swarm.dry_run import recording
from imageproof.swarm.history import read_history
from imageproof.swarm.rollback import choose_release, describe, read_existing
from imageproof.swarm.spec_settings import settings
from imageproof.swarm.state import Service, read_stack, require_manager

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.swarm.stack_file import StackFile

Kind = Literal["new", "changed", "unchanged", "removed"]
HIDDEN = "(hidden)"  # shown instead of a secret


@dataclass(frozen=True)
class Change:
    """A setting of a service before and after; empty text if it is unset."""

    setting: str
    before: str
    after: str


@dataclass(frozen=True)
class ServicePlan:
    """Changes of one service; none listed if it is removed."""

    service: str
    kind: Kind
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Changes of the services, and of other objects: one line each."""

    services: tuple[ServicePlan, ...]
    others: tuple[str, ...] = ()


def plan_deployment(engine: Engine, stack_file: StackFile) -> Plan:
    """Return what a deployment would change."""
    stack = stack_file.stack
    before = read_stack(engine, stack)
    missing = secrets.missing(engine, stack, stack_file.secrets)
    with recording(engine, [secret.name for secret in stack_file.secrets]) as (safe, recorder):
        post(safe, f"planning the deployment of {stack}", stack_file)
    specs = {
        change.body["Name"].removeprefix(f"{stack}_"): change.body
        for change in recorder.changes
        if change.kind == "services" and change.body
    }
    services = _compare(engine, before, specs)
    others = [f"secret {secret.name}: new" for secret in missing]
    others += [line for change in recorder.changes if (line := _describe_new(change))]
    history = read_history(engine, stack)
    if is_unrecorded(history, before):
        history = history.with_next({name: service.spec for name, service in before.items()})
    if any(service.kind != "unchanged" for service in services):
        others.append(f"release {history.next_number}: recorded if all tasks become healthy")
        history = history.with_next(specs)
    unused = secrets.unused(engine, stack, specs.values(), history)
    others += [f"secret {name}: removed" for name in unused]
    return Plan(services, tuple(others))


def plan_rollback(engine: Engine, stack: str, number: int | None) -> Plan:
    """Return what a rollback would change."""
    require_manager(engine)
    services, history = read_existing(engine, stack)
    target = choose_release(stack, services, history, number)
    return Plan(_compare(engine, services, target.specs), (f"rollback to {describe(target)}",))


def _compare(
    engine: Engine, before: Mapping[str, Service], after: Mapping[str, Mapping[str, Any]]
) -> tuple[ServicePlan, ...]:
    networks = engine.request("listing the networks", "GET", "/networks")
    names = {network["Id"]: network["Name"] for network in networks}
    plans = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            plans.append(ServicePlan(name, "removed"))
            continue
        old = settings(before[name].spec, names) if name in before else {}
        changes = tuple(_changes(old, settings(after[name], names)))
        kind: Kind = "changed" if changes else "unchanged"
        plans.append(ServicePlan(name, kind if name in before else "new", changes))
    return tuple(plans)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for setting in sorted(before.keys() | after.keys()):
        old, new = before.get(setting, ""), after.get(setting, "")
        if old != new:
            kind, _, name = setting.partition(" ")
            if kind == "environment" and (is_secret(name, old) or is_secret(name, new)):
                old, new = (HIDDEN if old else "", HIDDEN if new else "")
            yield Change(setting, old, new)


def _describe_new(change: Request) -> str:
    """Return a line about a new network, secret or config; empty text for other changes."""
    if change.kind == "services" or change.object != "create":
        return ""
    return f"{change.kind.removesuffix('s')} {change.body['Name']}: new"
