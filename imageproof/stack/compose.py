"""The compose stack: up (until every service is ready) and down."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.console import done, say, step, warn
from imageproof.docker.client import Engine, service_of
from imageproof.docker.compose_command import variables_with_value
from imageproof.errors import ImageproofError, PortTaken, StackFailed, UsageError
from imageproof.signals import deferring
from imageproof.stack.logs import save_logs
from imageproof.stack.objects import (
    StackObjects,
    anonymous_volumes,
    remove_leftovers,
    remove_volumes,
    stack_objects,
)
from imageproof.stack.readiness import start_error, wait_until_ready
from imageproof.stack.states import ServiceState, states
from imageproof.suggestion import did_you_mean

if TYPE_CHECKING:
    from imageproof.contract import Contract

UP_OPTIONS = ("--detach", "--no-build", "--remove-orphans")


def up(contract: Contract, engine: Engine, *, quiet: bool = False) -> list[ServiceState]:
    """Start every service from existing images, and wait until each is ready.

    If the start fails, what existed before it stays, and its state is printed. If nothing was
    running, the logs are saved, and the new containers, networks and volumes are removed.

    Raises:
        StackFailed: a service failed; the error has the end of its log and of its health check.
        PortTaken: another program uses a port of the stack.
        EngineUnavailable: the engine does not answer.
    """
    if not quiet:
        step("up")
    require_not_paused(engine)
    before = states(engine)
    old_anonymous = anonymous_volumes(engine, engine.containers())
    old_objects = _ExistingObjects.of(engine, before)
    try:
        # Interrupted half-way, the replacement of a container leaves its service without one.
        with deferring() if before else contextlib.nullcontext():
            _start(engine, before)
        current = wait_until_ready(contract, engine, before, quiet=quiet)
    except (ImageproofError, KeyboardInterrupt) as error:
        if isinstance(error, PortTaken):
            _name_variable(engine, error)
        if not any(state.status in ("running", "restarting") for state in before):
            _remove_failed_start(contract, engine, old_objects, quiet=quiet)
        if before:
            report_change(engine, before, "the start did not end well")
        raise
    # Those of removed orphans; Compose mounts the others again.
    remaining = anonymous_volumes(engine, engine.containers())
    remove_volumes(engine, [name for name in old_anonymous if name not in remaining])
    return current


def _name_variable(engine: Engine, error: PortTaken) -> None:
    """Add the variable that sets the port, if there is one, to the hint."""
    if names := variables_with_value(engine.compose_files, error.cause):
        error.hint = f"set {' or '.join(names)} to another port, in .env; or {error.hint}"


def _start(engine: Engine, before: Sequence[ServiceState]) -> None:
    try:
        engine.compose("starting the stack", "up", *UP_OPTIONS)
    except StackFailed as error:
        raise (start_error(engine, before) or error) from None


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


def require_not_paused(engine: Engine) -> None:
    """Raise StackFailed if a container of the stack is paused: Compose would not resume it."""
    current = states(engine)
    if paused := [state.container for state in current if state.status == "paused"]:
        # Compose's own command fails if one of the containers is not paused.
        every = len(paused) == len(current)
        command = "docker compose unpause" if every else f"docker unpause {' '.join(paused)}"
        raise StackFailed(
            "starting the stack",
            f"it is paused: {', '.join(paused)}",
            hint=f"`{command}` resumes it; then run `./inv up` again",
        )


@dataclass(frozen=True)
class _ExistingObjects:
    """Services that have a container, and names of networks and volumes, before a start."""

    services: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]  # every one in the engine

    @classmethod
    def of(cls, engine: Engine, before: Sequence[ServiceState]) -> _ExistingObjects:
        return cls(
            services=frozenset(state.service for state in before),
            networks=frozenset(_networks(engine)),
            volumes=frozenset(_all_volumes(engine)),
        )


def _remove_failed_start(
    contract: Contract, engine: Engine, old: _ExistingObjects, *, quiet: bool
) -> None:
    """Save the logs, then remove what the start has created. An error ends only one step.

    The container of a service that had one stays, even a new one: only it mounts the anonymous
    volumes of its predecessor.
    """
    with contextlib.suppress(ImageproofError):
        files = save_logs(contract, engine)
        if files and not quiet:
            say(f"  the logs are saved in {files[0].parent.relative_to(contract.root)}")
    with contextlib.suppress(ImageproofError):
        new = [c for c in engine.containers() if service_of(c) not in old.services]
        anonymous = anonymous_volumes(engine, new)
        if new:
            ids = [container["Id"] for container in new]
            with contextlib.suppress(ImageproofError):
                engine.query("stopping the new containers", "container", "stop", *ids)
            engine.remove("container", ids)
        volumes = {*anonymous, *_volumes(engine)} - old.volumes
        remove_volumes(engine, sorted(volumes))
    with contextlib.suppress(ImageproofError):
        if networks := [name for name in _networks(engine) if name not in old.networks]:
            engine.remove("network", networks)


def _label(engine: Engine) -> str:
    return f"com.docker.compose.project={engine.project_name}"


def _networks(engine: Engine) -> list[str]:
    """Return the names of the stack's existing networks."""
    return engine.names_with_label("network", _label(engine))


def _volumes(engine: Engine) -> list[str]:
    """Return the names of the stack's existing volumes."""
    return engine.names_with_label("volume", _label(engine))


def _all_volumes(engine: Engine) -> list[str]:
    return engine.query("listing volumes", "volume", "ls", "--quiet").split()


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
