"""Rollback of a stack to a release of its history, and the stack's status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import StackFailed, UsageError
from imageproof.swarm.history import History, Record, add_record, differing, read_history
from imageproof.swarm.restore import restore
from imageproof.swarm.state import ENDED_UPDATES, Service, read_stack, require_manager
from imageproof.swarm.task_log import log_tail

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

HINT = (
    "`./inv status` shows the tasks and the releases; "
    "`./inv rollback --to NUMBER` restores an older one"
)


def rollback(
    engine: Engine, stack: str, number: int | None, timeout: float
) -> tuple[dict[str, Service], History]:
    """Restore a release, wait until all its tasks are healthy, and record it.

    Args:
        engine: A manager's engine.
        stack: The stack's name.
        number: The release's number; None: see `choose_release`.
        timeout: Seconds until an unfinished rollback fails.

    Returns:
        The services, and the release history.

    Raises:
        UsageError: There is no such stack or release.
        StackFailed: A service failed or did not converge in time.
    """
    require_manager(engine)
    services, history = read_existing(engine, stack)
    target = choose_release(stack, services, history, number)
    console.step(f"roll {stack} back to {describe(target)}")
    changed = differing(target.specs, services)
    services, failure = restore(engine, stack, target.specs, timeout)
    if failure:
        tail = log_tail(engine, failure.task) if failure.task else []
        action = f"rolling {stack} back to release {target.number}"
        raise StackFailed(action, failure.cause, tail=tail, hint=HINT)
    history = add_record(engine, stack, history, services, restored=target)
    console.done(f"rollback: release {target.origin} runs; changed: {', '.join(changed) or '-'}")
    return services, history


def choose_release(
    stack: str, services: Mapping[str, Service], history: History, number: int | None
) -> Record:
    """Return the release with this number; without one, the last that was proven to run.

    If that release runs already, return the one before. If Swarm has not finished its update, the
    release is restored again: an earlier rollback was interrupted.

    Raises:
        UsageError: There is no such release.
    """
    action = f"rolling {stack} back"
    numbers = ", ".join(str(record.number) for record in history.records) or "none"
    if number is not None:
        if record := history.number(number):
            return record
        raise UsageError(action, f"there is no release {number}", hint=f"releases: {numbers}")
    running = history.running(services)
    finished = all(service.update in ENDED_UPDATES for service in services.values())
    target = history.before(running) if running and finished else running or history.last
    if target:
        return target
    cause = (
        f"{describe(running)} runs, and no earlier one is recorded"
        if running
        else "no release is recorded: none was deployed by this version of imageproof"
    )
    raise UsageError(action, cause, hint="`./inv deploy --release FILE` deploys an older release")


def describe(record: Record) -> str:
    """Return a release's number and commit."""
    number = f"release {record.number}"
    if record.origin != record.number:
        number += f" (a copy of {record.origin})"
    return f"{number}, commit {record.revision[:12]}" if record.revision else number


def status(engine: Engine, stack: str) -> tuple[dict[str, Service], History]:
    """Return a stack's services and releases. Raises UsageError if there is no such stack."""
    require_manager(engine)
    return read_existing(engine, stack)


def read_existing(engine: Engine, stack: str) -> tuple[dict[str, Service], History]:
    """Return the services and the history of a stack that has at least one of them.

    Raises:
        UsageError: There is no such stack.
    """
    services, history = read_stack(engine, stack), read_history(engine, stack)
    if not services and not history.records:
        raise UsageError(
            f"reading the stack {stack}",
            "the swarm has no stack with this name",
            hint="`docker stack ls` lists the stacks; `./inv deploy --name NAME` creates one",
        )
    return services, history
