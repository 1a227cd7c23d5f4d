"""A stack brought to a release, or back to what it was; both end when it is so, or say why not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.docker.environment import temporary_environment
from imageproof.errors import ConfigurationError, StackFailed, UsageError
from imageproof.release import manifest
from imageproof.swarm import secrets
from imageproof.swarm.converge import Failure, Watch, changed, is_another, last_words
from imageproof.swarm.plan import ServicePlan, plan
from imageproof.swarm.stack_file import StackFile, fill
from imageproof.swarm.state import Service, existing, read, require_manager

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

WITHIN = 600.0  # seconds for a whole deployment: pulls, one task after the other, and back again
HINT = "`./inv status` shows the tasks; mend it, then `./inv deploy` again"


def open_file(contract: Contract, engine: Engine, path: str | None, stack: str) -> StackFile:
    """The stack's file, filled in with a release. Raises UsageError where there is none."""
    file = contract.root / (path or manifest.DEFAULT_FILE)
    return fill(contract, engine, manifest.load(file), stack)


def plan_of(contract: Contract, engine: Engine, path: str | None, stack: str) -> list[ServicePlan]:
    """What a deployment would change; nothing is changed."""
    require_manager(engine)
    return plan(open_file(contract, engine, path, stack), read(engine, stack))


def deploy(
    contract: Contract, engine: Engine, path: str | None, stack: str, within: float = WITHIN
) -> dict[str, Service]:
    """Bring the stack to a release, by digests alone, and wait until it is so.

    Raises StackFailed with the task that failed, where, why and its last words; by then what was
    changed is what it was before, where there was something before.
    """
    require_manager(engine)
    file = open_file(contract, engine, path, stack)
    console.step(f"deploy {stack}")
    started = time.monotonic()
    before = read(engine, stack)
    secrets.create(engine, stack, file.secrets)
    action = f"deploying {stack}"
    with temporary_environment(dict(file.variables)):
        engine.query(
            action,
            *("stack", "deploy", "--detach=true", "--prune", "--with-registry-auth"),
            *("--resolve-image", "never", "--compose-file", str(file.path), stack),
            fallback=ConfigurationError,
        )
    updating = changed(before, read(engine, stack))
    watch = Watch(engine, stack, before, updating)
    services, failure = watch.wait(within)
    if failure:
        raise _failed(watch, action, services, failure, within)
    secrets.remove_unused(engine, stack, services)
    tasks = sum(len(service.running) for service in services.values())
    console.done(f"deploy: {tasks} tasks healthy after {time.monotonic() - started:.1f} s")
    return services


def _failed(
    watch: Watch, action: str, services: Mapping[str, Service], failure: Failure, within: float
) -> StackFailed:
    """The error, after all that this deployment changed was taken back."""
    engine, stack, before = watch.engine, watch.stack, watch.before
    tail = last_words(engine, failure.task) if failure.task else []
    said = [failure.cause]
    if by_swarm := sorted(watch.rolled_back):
        said.append(f"Swarm took {', '.join(by_swarm)} back to what it was")
    ours = [n for n in services if n in before and is_another(before[n], services[n])]
    if ours:
        console.say(f"  taking back {', '.join(ours)}")
        stuck = _take_back(engine, stack, services, ours, within)
        said.append(
            f"taking back {', '.join(ours)} failed: {stuck.cause}"
            if stuck
            else f"taken back{' as well' if by_swarm else ''}: {', '.join(ours)}"
        )
    if not before:
        said.append("there was nothing before: it is left as it is")
    gone = f"`docker stack rm {stack}` removes it; " if not before else ""
    return StackFailed(action, "; ".join(said), tail=tail, hint=gone + HINT)


def rollback(engine: Engine, stack: str, within: float = WITHIN) -> dict[str, Service]:
    """Take every service back to what it was before the last deployment, and wait until it is so.

    Raises UsageError where nothing is known of a time before, StackFailed where it fails.
    """
    require_manager(engine)
    services = existing(engine, stack)
    names = sorted(service.name for service in services.values() if service.previous)
    action = f"taking {stack} back"
    if not names:
        raise UsageError(
            action,
            "Swarm knows no version before this one",
            hint="`./inv deploy --release FILE` deploys an older release",
        )
    console.step(f"rollback {stack}")
    failure = _take_back(engine, stack, services, names, within)
    if failure:
        tail = last_words(engine, failure.task) if failure.task else []
        raise StackFailed(action, failure.cause, tail=tail, hint=HINT)
    console.done(f"rollback: {', '.join(names)}")
    return read(engine, stack)


def _take_back(
    engine: Engine, stack: str, services: Mapping[str, Service], names: list[str], within: float
) -> Failure | None:
    """Ask Swarm for the specification before this one, and wait."""
    for name in names:
        if services[name].previous:
            full_name = services[name].full_name
            engine.query(f"taking {name} back", "service", "rollback", "--detach", full_name)
    updating = changed(services, read(engine, stack))
    return Watch(engine, stack, services, updating, back=True).wait(within)[1]


def status(engine: Engine, stack: str) -> dict[str, Service]:
    """The services of a stack, and their tasks."""
    require_manager(engine)
    return existing(engine, stack)
