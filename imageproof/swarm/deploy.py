"""Deployment of a release to a stack, and its rollback. Both wait for the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import ConfigurationError, StackFailed, UsageError
from imageproof.release import manifest
from imageproof.swarm import secrets
from imageproof.swarm.converge import Failure, StackWatcher, spec_differs, updated_services
from imageproof.swarm.plan import ServicePlan, plan
from imageproof.swarm.stack_file import StackFile, fill
from imageproof.swarm.state import Service, read_existing, read_stack, require_manager
from imageproof.swarm.task_log import log_tail

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

HINT = "`./inv status` shows the tasks; fix the cause, then `./inv deploy` again"


def load_stack_file(
    contract: Contract, engine: Engine, release_file: str | None, stack: str
) -> StackFile:
    """Return the contract's stack file, filled in with a release (None: the default file's).

    Raises:
        UsageError: The release cannot be read, or the contract names no stack file.
        ConfigurationError: The stack file does not fit the release.
    """
    default = contract.root / manifest.DEFAULT_FILE
    release = manifest.load(Path(release_file) if release_file else default)
    return fill(contract, engine, release, stack)


def plan_deployment(
    contract: Contract, engine: Engine, release_file: str | None, stack: str
) -> list[ServicePlan]:
    """Return what a deployment would change, without changing anything."""
    require_manager(engine)
    stack_file = load_stack_file(contract, engine, release_file, stack)
    return plan(stack_file, read_stack(engine, stack))


def deploy(
    contract: Contract,
    engine: Engine,
    release_file: str | None,
    stack: str,
    timeout: float,
) -> dict[str, Service]:
    """Deploy a release by digest, wait until the stack has converged, and return its services.

    Raises:
        StackFailed: A service failed or did not converge within `timeout` seconds. The changed
            services were rolled back. The error names the task, its node and its last log lines.
    """
    require_manager(engine)
    stack_file = load_stack_file(contract, engine, release_file, stack)
    console.step(f"deploy {stack}")
    started = time.monotonic()
    before = read_stack(engine, stack)
    secrets.create(engine, stack, stack_file.secrets)
    action = f"deploying {stack}"
    engine.query(
        action,
        *("stack", "deploy", "--detach=true", "--prune", "--with-registry-auth"),
        *("--resolve-image", "never", "--compose-file", str(stack_file.path), stack),
        environment=stack_file.variables,
        fallback=ConfigurationError,
    )
    updating = updated_services(before, read_stack(engine, stack))
    watcher = StackWatcher(engine, stack, before, updating)
    services, failure = watcher.wait(timeout)
    if failure:
        raise _undo_deployment(watcher, action, services, failure, timeout)
    secrets.remove_unused(engine, stack, services)
    tasks = sum(len(service.running) for service in services.values())
    console.done(f"deploy: {tasks} tasks healthy after {time.monotonic() - started:.1f} s")
    return services


def _undo_deployment(
    watcher: StackWatcher,
    action: str,
    services: Mapping[str, Service],
    failure: Failure,
    timeout: float,
) -> StackFailed:
    """Roll back the services that still differ from before, and return the error to raise."""
    engine, stack, before = watcher.engine, watcher.stack, watcher.before
    tail = log_tail(engine, failure.task) if failure.task else []
    causes = [failure.cause]
    if by_swarm := sorted(watcher.rolled_back):
        causes.append(f"Swarm rolled back {', '.join(by_swarm)}")
    changed = [
        name
        for name, service in services.items()
        if name in before and spec_differs(before[name], service)
    ]
    if changed:
        names = ", ".join(changed)
        console.say(f"  rolling back {names}")
        rollback_failure = _roll_back(engine, stack, services, changed, timeout)
        causes.append(
            f"the rollback of {names} failed: {rollback_failure.cause}"
            if rollback_failure
            else f"{'also ' if by_swarm else ''}rolled back: {names}"
        )
    if not before:
        causes.append("the stack is new: nothing to roll back to, so it stays as it is")
    removal = f"`docker stack rm {stack}` removes it; " if not before else ""
    return StackFailed(action, "; ".join(causes), tail=tail, hint=removal + HINT)


def rollback(engine: Engine, stack: str, timeout: float) -> dict[str, Service]:
    """Roll every service back to its previous specification, wait, and return the services.

    Raises:
        UsageError: There is no such stack, or no service has a previous specification.
        StackFailed: A service failed or did not converge within `timeout` seconds.
    """
    require_manager(engine)
    services = read_existing(engine, stack)
    names = sorted(service.name for service in services.values() if service.previous)
    action = f"rolling back {stack}"
    if not names:
        raise UsageError(
            action,
            "Swarm has no previous version of its services",
            hint="`./inv deploy --release FILE` deploys an older release",
        )
    console.step(f"rollback {stack}")
    failure = _roll_back(engine, stack, services, names, timeout)
    if failure:
        tail = log_tail(engine, failure.task) if failure.task else []
        raise StackFailed(action, failure.cause, tail=tail, hint=HINT)
    console.done(f"rollback: {', '.join(names)}")
    return read_stack(engine, stack)


def _roll_back(
    engine: Engine, stack: str, services: Mapping[str, Service], names: list[str], timeout: float
) -> Failure | None:
    """Roll back the named services, wait up to `timeout` seconds, and return the failure."""
    for name in names:
        if services[name].previous:
            full_name = services[name].full_name
            engine.query(f"rolling back {name}", "service", "rollback", "--detach", full_name)
    updating = updated_services(services, read_stack(engine, stack))
    watcher = StackWatcher(engine, stack, services, updating, rollback=True)
    _, failure = watcher.wait(timeout)
    return failure


def status(engine: Engine, stack: str) -> dict[str, Service]:
    """Return the services of a stack. Raises UsageError if there is no such stack."""
    require_manager(engine)
    return read_existing(engine, stack)
