"""The stack: brought up and waited for, taken down, looked at. Compose does the work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.console import done, say, step, warn
from imageproof.docker.client import Engine
from imageproof.docker.environment import temporary_environment
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError, StackFailed, UsageError
from imageproof.signals import pause
from imageproof.terminal_text import clean_lines, strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import Contract

POLL_SECONDS = 0.2  # at first; who waits long asks less often, since each look is two processes
POLL_MOST = 1.0
READY_SECONDS = 60.0  # for a service that the contract does not name
LOG_LINES = 10
LOGS = ".imageproof/logs"
MAX_LOG_LINES = 10_000  # of each container


@dataclass(frozen=True)
class ServiceState:
    """One container of the stack, as the engine sees it."""

    service: str
    container: str
    status: str
    health: str | None
    restarts: int
    ports: tuple[str, ...]
    last_words: tuple[str, ...] = ()
    run: str = ""  # which container, and since when: another, or the same started again, is another

    @property
    def ready(self) -> bool:
        """Running, and healthy where it has a health check."""
        return self.status == "running" and self.health in (None, "healthy")

    @property
    def failure(self) -> str | None:
        """Why it will not become ready by itself; None while it still may."""
        if self.restarts:
            return f"it ended and was started again {self.restarts} times"
        if self.status in {"exited", "dead", "restarting"}:
            return f"it is {self.status}"
        return "its health check fails" if self.health == "unhealthy" else None


def states(engine: Engine) -> list[ServiceState]:
    """Every container of the stack, in the order of their names."""
    return sorted(map(_state, engine.containers()), key=lambda state: state.container)


def _state(container: dict[str, Any]) -> ServiceState:
    state = container["State"]
    ports = container["NetworkSettings"].get("Ports") or {}
    return ServiceState(
        service=container["Config"]["Labels"].get("com.docker.compose.service", ""),
        container=container["Name"].lstrip("/"),
        status=state["Status"],
        health=state["Health"]["Status"] if state.get("Health") else None,
        restarts=container.get("RestartCount", 0),
        ports=tuple(
            f"{binding['HostIp']}:{binding['HostPort']}->{inner}"
            for inner, bindings in ports.items()
            for binding in bindings or ()
        ),
        last_words=tuple(_last_words(state)),
        run=f"{container['Id']} {state['StartedAt']}",
    )


def _last_words(state: dict[str, Any]) -> list[str]:
    """What the last health check said."""
    log = (state.get("Health") or {}).get("Log") or []
    return clean_lines(log[-1].get("Output")) if log else []


def up(contract: Contract, engine: Engine, *, quiet: bool = False) -> list[ServiceState]:
    """Start every service from images that are there, and wait until each is healthy.

    Raises StackFailed with the health check's last words and the log's tail of the service
    that failed, PortTaken, or EngineUnavailable. What a failed start made is removed again, its
    logs are kept; a stack that ran before, and volumes that were there, are left as they are.
    """
    if not quiet:
        step("up")
    ran_before = bool(engine.containers(stopped=False))
    volumes = frozenset(_volumes(engine))
    with _removing_on_failure(contract, engine, ran_before, volumes, quiet):
        with translating("starting the stack"), temporary_environment(engine.variables):
            engine.docker.compose.up(detach=True, no_build=True, remove_orphans=True, quiet=True)
        return _wait(contract, engine, quiet)


@contextlib.contextmanager
def _removing_on_failure(
    contract: Contract,
    engine: Engine,
    ran_before: bool,
    volumes: frozenset[str],
    quiet: bool,
) -> Iterator[None]:
    try:
        yield
    except (ImageproofError, KeyboardInterrupt):
        if ran_before:
            warn("the stack ran before this: it is left as it is (`./inv down` removes it)")
        else:
            with contextlib.suppress(ImageproofError):
                kept = save_logs(contract, engine)
                if kept and not quiet:
                    say(f"  the logs are kept in {kept[0].parent.relative_to(contract.root)}")
            with contextlib.suppress(ImageproofError):
                down(engine, quiet=True)
                if made := [name for name in _volumes(engine) if name not in volumes]:
                    engine.remove("volume", made)
        raise


def _volumes(engine: Engine) -> list[str]:
    """The names of the stack's volumes, as far as they were made."""
    project = engine.compose_model(interpolate=True)["name"]
    return engine.names_with_label("volume", f"com.docker.compose.project={project}")


def save_logs(contract: Contract, engine: Engine) -> list[Path]:
    """Write the log of each container of the stack to a file, before it is removed."""
    kept = []
    for container in engine.containers():
        labels = container["Config"]["Labels"]
        folder = contract.root / LOGS / labels["com.docker.compose.project"]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{container['Name'].lstrip('/')}.log"
        lines = engine.logs(labels["com.docker.compose.service"], MAX_LOG_LINES)
        path.write_text("".join(f"{line}\n" for line in lines))
        kept.append(path)
    return kept


def _wait(contract: Contract, engine: Engine, quiet: bool = False) -> list[ServiceState]:
    limits = {image.service: image.health.ready_within for image in contract.images.values()}
    started = time.monotonic()
    told: set[str] = set()
    while True:
        found = states(engine)
        waited = time.monotonic() - started
        for state in found:
            if state.ready and state.container not in told and not quiet:
                told.add(state.container)
                say(f"  {state.service:10} {state.health or state.status} after {waited:.1f} s")
            failure = state.failure
            limit = limits.get(state.service, READY_SECONDS)
            if failure is None and not state.ready and waited > limit:
                failure = f"it is not healthy within {limit:.0f} s"
            if failure:
                raise _failed(engine, state, failure)
        if found and all(state.ready for state in found):
            if not quiet:
                done(f"up: {len(found)} containers healthy")
            return found
        pause(min(POLL_SECONDS * (1 + waited / 2), POLL_MOST))


def _failed(engine: Engine, state: ServiceState, failure: str) -> StackFailed:
    """Target, state, last logs, then a hint."""
    tail = [f"log: {line}" for line in engine.logs(state.service, LOG_LINES)]
    tail += [f"health: {line}" for line in state.last_words]
    return StackFailed(
        f"waiting for {state.service} to become healthy",
        failure,
        tail=tail,
        hint=f"mend it, then `./inv up`; `docker compose up {state.service}` shows it live",
    )


def down(engine: Engine, *, volumes: bool = False, quiet: bool = False) -> None:
    """Stop and remove every container and network of the stack, orphans as well."""
    if not quiet:
        step("down")
    with translating("removing the stack"), temporary_environment(engine.variables):
        engine.docker.compose.down(remove_orphans=True, volumes=volumes, quiet=True)
    if not quiet:
        done("down")


def follow_logs(engine: Engine, service: str | None, *, follow: bool, lines: int) -> Iterator[str]:
    """The stack's log, line by line."""
    if service:
        require_service(engine, service)
    with translating("reading the stack's log"), temporary_environment(engine.variables):
        entries = engine.docker.compose.logs(
            [service] if service else [], tail=str(lines), follow=follow, stream=True
        )
        for _, line in entries:
            yield strip_escapes(line.decode(errors="replace"))


def require_service(engine: Engine, service: str) -> None:
    """Raise UsageError where the stack has no such service."""
    services = engine.compose_model(interpolate=True).get("services", {})
    if service not in services:
        raise UsageError(
            "reading the command line",
            f"the stack has no service {service!r}",
            hint=f"its services are: {', '.join(services)}",
        )
