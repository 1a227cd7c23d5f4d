"""Deployment of a release to a stack. It waits for the result, and takes a failed one back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import ConfigurationError, EngineUnavailable, ImageproofError, StackFailed
from imageproof.swarm import secrets
from imageproof.swarm.converge import Failure, StackWatcher, updated_services
from imageproof.swarm.history import History, add_record, differing, read_history
from imageproof.swarm.restore import Specs, restore
from imageproof.swarm.state import Service, read_stack, require_manager
from imageproof.swarm.task_log import log_tail

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.swarm.stack_file import StackFile

HINT = "`./inv status` shows the tasks; fix the cause, then `./inv deploy` again"


def deploy(
    engine: Engine, stack_file: StackFile, timeout: float
) -> tuple[dict[str, Service], History]:
    """Deploy a stack file, wait until the stack has converged, and record the release.

    Args:
        engine: A manager's engine.
        stack_file: The stack file, filled in with a release.
        timeout: Seconds until an unfinished deployment is taken back.

    Returns:
        The services, and the release history.

    Raises:
        StackFailed: A service failed or did not converge in time. The last release that ran was
            restored. The error names the task, its node and its last log lines.
    """
    require_manager(engine)
    stack = stack_file.stack
    console.step(f"deploy {stack}")
    started = time.monotonic()
    before, history = read_stack(engine, stack), read_history(engine, stack)
    if is_unrecorded(history, before):
        history = add_record(engine, stack, history, before, restored=history.running(before))
    proven = _proven_specs(history, before)
    secrets.create(engine, stack, stack_file.secrets)
    action = f"deploying {stack}"
    try:
        post(engine, action, stack_file)
        updating = updated_services(before, read_stack(engine, stack))
        watcher = StackWatcher(engine, stack, before, updating)
        services, failure = watcher.wait(timeout)
    except EngineUnavailable:
        raise
    except ImageproofError as error:  # Swarm may have accepted a part of the stack file
        raise _taken_back(engine, stack, error, proven, timeout) from error
    except KeyboardInterrupt:
        console.warn(
            "interrupted: Swarm goes on with the deployment; `./inv status` shows it, "
            "`./inv rollback` restores the last release that ran"
        )
        raise
    if failure:
        failed = _failed_deployment(engine, action, watcher, failure)
        also = "also " if watcher.rolled_back else ""
        raise _taken_back(engine, stack, failed, proven, timeout, also)
    history = add_record(engine, stack, history, services, revision=stack_file.revision)
    secrets.remove_unused(engine, stack, services, history)
    tasks = sum(len(service.running) for service in services.values())
    console.done(f"deploy: {tasks} tasks healthy after {time.monotonic() - started:.1f} s")
    return services, history


def is_unrecorded(history: History, services: Mapping[str, Service]) -> bool:
    """Return whether services run healthy that are not the last record.

    They may be the result of an interrupted command, or of another program.
    """
    if not services or not all(service.settled for service in services.values()):
        return False
    return history.last is None or bool(differing(history.last.specs, services))


def _proven_specs(history: History, before: Mapping[str, Service]) -> Specs:
    """Return what a failed deployment goes back to; nothing for a new stack."""
    if before and history.last:
        return history.last.specs
    return {name: service.spec for name, service in before.items()}


def post(engine: Engine, action: str, stack_file: StackFile) -> None:
    """Hand the stack file over to Swarm, and return before the tasks have changed."""
    command = (
        *("--prune", "--with-registry-auth", "--resolve-image", "never"),
        *("--compose-file", str(stack_file.path), stack_file.stack),
    )
    # Docker 26 added --detach, which is its default, and announced that it will not stay so.
    detach = (
        ("--detach=true",)
        if "--detach" in engine.query(action, "stack", "deploy", "--help")
        else ()
    )
    engine.query(
        action,
        *("stack", "deploy", *detach, *command),
        environment=stack_file.variables,
        fallback=ConfigurationError,
    )


def _failed_deployment(
    engine: Engine, action: str, watcher: StackWatcher, failure: Failure
) -> StackFailed:
    causes = [failure.cause]
    if watcher.rolled_back:
        causes.append(f"Swarm rolled back {', '.join(sorted(watcher.rolled_back))}")
    tail = log_tail(engine, failure.task) if failure.task else []
    return StackFailed(action, "; ".join(causes), tail=tail, hint=HINT)


def _taken_back(
    engine: Engine,
    stack: str,
    error: ImageproofError,
    proven: Specs,
    timeout: float,
    also: str = "",
) -> ImageproofError:
    """Restore what ran before, and return the error with the outcome."""
    hint = error.hint or HINT
    services = read_stack(engine, stack)
    if not proven:
        outcome = "the stack is new: nothing to roll back to, so it stays as it is"
        if not services:
            return error
        hint = f"`docker stack rm {stack}` removes it; {hint}"
    else:
        names = ", ".join(differing(proven, services))
        if names:
            console.say(f"  rolling back {names}")
        try:
            _, failure = restore(engine, stack, proven, timeout)
            problem = failure.cause if failure else ""
        except ImageproofError as refused:
            problem = refused.cause
        if problem:
            outcome = f"the rollback failed: {problem}"
        elif names:
            outcome = f"{also}rolled back: {names}"
        else:
            outcome = "the version before runs"
    return type(error)(error.action, f"{error.cause}; {outcome}", tail=error.tail, hint=hint)
