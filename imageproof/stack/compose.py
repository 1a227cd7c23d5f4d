"""The compose stack: up (until every service is healthy), down and state."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imageproof.console import done, say, step, warn
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError, StackFailed, UsageError
from imageproof.signals import pause
from imageproof.stack.logs import save_logs
from imageproof.suggestion import did_you_mean
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.contract import Contract

# The interval grows while `up` waits, because each poll starts two processes.
MIN_POLL_SECONDS = 0.2
MAX_POLL_SECONDS = 1.0
READY_SECONDS = 60.0  # time limit for a service that the contract does not name
ERROR_LOG_LINES = 10  # of a service that failed, in the error


@dataclass(frozen=True)
class ServiceState:
    """State of one container of the stack.

    Attributes:
        service: its compose service.
        container: its name.
        status: Docker's status, such as running or exited.
        health: healthy, unhealthy or starting; None without a health check.
        restarts: how often the engine restarted it.
        ports: published ports, as HOST:PORT->PORT/tcp.
        health_output: last output of its health check.
        run: its id and start time, which identify one run.
    """

    service: str
    container: str
    status: str
    health: str | None
    restarts: int
    ports: tuple[str, ...]
    health_output: tuple[str, ...] = ()
    run: str = ""

    @property
    def ready(self) -> bool:
        """Whether it is running, and healthy if it has a health check."""
        return self.status == "running" and self.health in (None, "healthy")

    @property
    def failure(self) -> str | None:
        """Why it cannot become ready without help, None if it still can."""
        if self.restarts:
            return f"it ended and was restarted {self.restarts} times"
        if self.status in {"exited", "dead", "restarting"}:
            return f"it is {self.status}"
        return "its health check fails" if self.health == "unhealthy" else None


def states(engine: Engine) -> list[ServiceState]:
    """Return the state of every container of the stack, sorted by name."""
    return sorted(map(_parse_state, engine.containers()), key=lambda state: state.container)


def _parse_state(container: dict[str, Any]) -> ServiceState:
    state = container["State"]
    ports = container["NetworkSettings"].get("Ports") or {}
    return ServiceState(
        service=container["Config"]["Labels"].get("com.docker.compose.service", ""),
        container=container["Name"].lstrip("/"),
        status=state["Status"],
        health=state["Health"]["Status"] if state.get("Health") else None,
        restarts=container.get("RestartCount", 0),
        ports=tuple(
            f"{binding['HostIp']}:{binding['HostPort']}->{port}"
            for port, bindings in ports.items()
            for binding in bindings or ()
        ),
        health_output=tuple(_health_output(state)),
        run=f"{container['Id']} {state['StartedAt']}",
    )


def _health_output(state: dict[str, Any]) -> list[str]:
    log = (state.get("Health") or {}).get("Log") or []
    return clean_lines(log[-1].get("Output")) if log else []


def up(contract: Contract, engine: Engine, *, quiet: bool = False) -> list[ServiceState]:
    """Start every service from existing images, and wait until each is healthy.

    If the start fails, the logs are saved, and new containers and volumes are removed. A stack
    that was running before is left as it is.

    Raises:
        StackFailed: a service failed; the error has the end of its log and of its health check.
        PortTaken: another program uses a port of the stack.
        EngineUnavailable: the engine does not answer.
    """
    if not quiet:
        step("up")
    was_running = bool(engine.containers(stopped=False))
    old_volumes = _volumes(engine)
    try:
        options = ("--detach", "--no-build", "--remove-orphans")
        engine.compose("starting the stack", "up", *options)
        return _wait_until_ready(contract, engine, quiet=quiet)
    except (ImageproofError, KeyboardInterrupt):
        if was_running:
            warn("the stack was running before, so it is not removed (`./inv down` removes it)")
        else:
            _remove_failed_start(contract, engine, old_volumes, quiet=quiet)
        raise


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
    project = engine.compose_model(interpolate=True)["name"]
    return engine.names_with_label("volume", f"com.docker.compose.project={project}")


def _wait_until_ready(
    contract: Contract, engine: Engine, *, quiet: bool = False
) -> list[ServiceState]:
    """Wait until every container is ready, and return their states.

    Raises:
        StackFailed: a container failed, or was not ready within its service's time limit.
    """
    limits = {image.service: image.health.ready_within for image in contract.images.values()}
    started = time.monotonic()
    reported: set[str] = set()  # containers
    while True:
        current = states(engine)
        waited = time.monotonic() - started
        for state in current:
            if state.ready and state.container not in reported and not quiet:
                reported.add(state.container)
                say(f"  {state.service:10} {state.health or state.status} after {waited:.1f} s")
            if failure := _failure(state, waited, limits.get(state.service, READY_SECONDS)):
                raise _start_error(engine, state, failure)
        if current and all(state.ready for state in current):
            if not quiet:
                count = len(current)
                done(f"up: {count} {'container' if count == 1 else 'containers'} healthy")
            return current
        pause(min(MIN_POLL_SECONDS * (1 + waited / 2), MAX_POLL_SECONDS))


def _failure(state: ServiceState, waited: float, limit: float) -> str | None:
    """Return why a container will not become ready, None if it still can within `limit` seconds."""
    if state.failure is None and not state.ready and waited > limit:
        return f"it is not healthy after {limit:.0f} s"
    return state.failure


def _start_error(engine: Engine, state: ServiceState, failure: str) -> StackFailed:
    tail = [f"log: {line}" for line in engine.container_log(state.container, ERROR_LOG_LINES)]
    tail += [f"health: {line}" for line in state.health_output]
    return StackFailed(
        f"waiting for {state.service} to become healthy",
        failure,
        tail=tail,
        hint=f"fix it and run `./inv up`; `docker compose up {state.service}` shows its log live",
    )


def down(engine: Engine, *, volumes: bool = False, quiet: bool = False) -> None:
    """Stop and remove every container and network of the stack, orphans included.

    Args:
        engine: the engine with the stack.
        volumes: remove the volumes too.
        quiet: print no progress.
    """
    if not quiet:
        step("down")
    options = ("--remove-orphans", *(("--volumes",) if volumes else ()))
    engine.compose("removing the stack", "down", *options)
    if not quiet:
        done("down")


def require_service(engine: Engine, service: str) -> None:
    """Raise UsageError if the stack has no such service."""
    services = engine.compose_model(interpolate=True).get("services", {})
    if service not in services:
        raise UsageError(
            "reading the command line",
            f"the stack has no service {service!r}",
            hint=did_you_mean(service, services) + f"the services are: {', '.join(services)}",
        )
