"""The compose stack: up (until every service is ready) and down."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from imageproof.console import done, say, step, warn
from imageproof.docker.client import Engine
from imageproof.docker.compose_command import variables_with_value
from imageproof.errors import ImageproofError, PortTaken, UsageError
from imageproof.signals import deferring
from imageproof.stack.logs import save_logs
from imageproof.stack.objects import (
    StackObjects,
    anonymous_volumes,
    remove_leftovers,
    remove_volumes,
    stack_objects,
)
from imageproof.stack.readiness import wait_until_ready
from imageproof.stack.states import ServiceState, states
from imageproof.suggestion import did_you_mean

if TYPE_CHECKING:
    from imageproof.contract import Contract

UP_OPTIONS = ("--detach", "--no-build", "--remove-orphans")


def up(contract: Contract, engine: Engine, *, quiet: bool = False) -> list[ServiceState]:
    """Start every service from existing images, and wait until each is ready.

    If the start fails, the logs are saved, and new containers and volumes are removed. A stack
    that was running before is not removed: what became of it is printed.

    Raises:
        StackFailed: a service failed; the error has the end of its log and of its health check.
        PortTaken: another program uses a port of the stack.
        EngineUnavailable: the engine does not answer.
    """
    if not quiet:
        step("up")
    before = states(engine)
    was_running = any(state.status == "running" for state in before)
    old_anonymous = anonymous_volumes(engine, engine.containers())
    old_volumes = _volumes(engine)
    try:
        # Interrupted half-way, the replacement of a running stack leaves services stopped.
        with deferring() if was_running else contextlib.nullcontext():
            engine.compose("starting the stack", "up", *UP_OPTIONS)
        current = wait_until_ready(contract, engine, before, quiet=quiet)
    except (ImageproofError, KeyboardInterrupt) as error:
        if isinstance(error, PortTaken):
            _name_variable(engine, error)
        if was_running:
            report_change(engine, before, "the start did not end well")
        else:
            _remove_failed_start(contract, engine, old_volumes, quiet=quiet)
        raise
    # Those of removed orphans; Compose mounts the others again.
    remaining = anonymous_volumes(engine, engine.containers())
    remove_volumes(engine, [name for name in old_anonymous if name not in remaining])
    return current


def _name_variable(engine: Engine, error: PortTaken) -> None:
    """Add the variable that sets the port, if there is one, to the hint."""
    if names := variables_with_value(engine.compose_files, error.cause):
        error.hint = f"set {' or '.join(names)} to another port, in .env; or {error.hint}"


def report_change(engine: Engine, before: Sequence[ServiceState], problem: str) -> None:
    """Print what became of each service after a start that did not succeed.

    Args:
        engine: the engine with the stack.
        before: its containers before the start.
        problem: why the stack is not what was asked for.
    """
    try:
        current = states(engine)
    except ImageproofError:
        warn(f"{problem}, and the engine does not say what runs: see `./inv ps`")
        return
    warn(f"{problem}; the stack is not removed (`./inv down` removes it):")
    old = {state.id for state in before}
    for state in current:
        age = "as before" if state.id in old else "a new container"
        say(f"  {state.service:10} {age}, {state.status}{_health(state)}")
    for service in sorted({s.service for s in before} - {s.service for s in current}):
        say(f"  {service:10} its container is gone")


def _health(state: ServiceState) -> str:
    return f", {state.health}" if state.health else ""


def _remove_failed_start(
    contract: Contract, engine: Engine, old_volumes: Container[str], *, quiet: bool
) -> None:
    """Save the logs, then remove all containers and new volumes. An error ends only one step."""
    with contextlib.suppress(ImageproofError):
        files = save_logs(contract, engine)
        if files and not quiet:
            say(f"  the logs are saved in {files[0].parent.relative_to(contract.root)}")
    with contextlib.suppress(ImageproofError):
        down(engine, quiet=True)
        if new_volumes := [name for name in _volumes(engine) if name not in old_volumes]:
            engine.remove("volume", new_volumes)


def _volumes(engine: Engine) -> list[str]:
    """Return the names of the stack's existing volumes."""
    label = f"com.docker.compose.project={engine.project_name}"
    return engine.names_with_label("volume", label)


def down(engine: Engine, *, volumes: bool = False, quiet: bool = False) -> StackObjects:
    """Remove every container, network and anonymous volume of the stack, orphans included.

    Args:
        engine: the engine with the stack.
        volumes: remove the named volumes too.
        quiet: print no progress.

    Returns:
        What was removed.
    """
    if not quiet:
        step("down")
    objects = stack_objects(engine, volumes=volumes)
    options = ("--remove-orphans", *(("--volumes",) if volumes else ()))
    # Every profile: for Compose, the container of a service whose profile is off is no orphan.
    engine.compose("removing the stack", "--profile", "*", "down", *options)
    remove_leftovers(engine, objects)
    if not quiet:
        done(f"down: removed {objects}")
    return objects


def require_service(engine: Engine, service: str) -> None:
    """Raise UsageError if the stack has no such service."""
    services = engine.compose_model(interpolate=True).get("services", {})
    if service not in services:
        raise UsageError(
            "reading the command line",
            f"the stack has no service {service!r}",
            hint=did_you_mean(service, services) + f"the services are: {', '.join(services)}",
        )
