"""State of the stack's containers, and the services that it should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imageproof.docker.engine_time import seconds_since
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


HELP_LABEL = "imageproof.help"


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
        id: its id.
        started_at: its last start, as in `docker inspect`.
        help: its own hint for a failed start, from its label HELP_LABEL.
        completed: whether it ended with status 0, and the engine does not restart it.
    """

    service: str
    container: str
    status: str
    health: str | None
    restarts: int
    ports: tuple[str, ...]
    health_output: tuple[str, ...] = ()
    id: str = ""
    started_at: str = ""
    help: str = ""
    completed: bool = False

    @property
    def run(self) -> str:
        """Its id and last start, which identify one run."""
        return f"{self.id} {self.started_at}"

    @property
    def ready(self) -> bool:
        """Whether it is running, and healthy if it has a health check; or completed."""
        if self.completed:
            return True
        return self.status == "running" and self.health in (None, "healthy")

    @property
    def failure(self) -> str | None:
        """Why it cannot become ready without help, None if it still can."""
        if self.completed:
            return None
        if self.status in {"exited", "dead", "restarting"}:
            return f"it is {self.status}"
        return "its health check fails" if self.health == "unhealthy" else None

    @property
    def uptime(self) -> float:
        """Seconds since its last start."""
        return seconds_since(self.started_at)


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
        id=container["Id"],
        started_at=state["StartedAt"],
        help=container["Config"]["Labels"].get(HELP_LABEL, ""),
        completed=_has_completed(container),
    )


def _has_completed(container: dict[str, Any]) -> bool:
    state = container["State"]
    restart = (container.get("HostConfig") or {}).get("RestartPolicy") or {}
    may_end = restart.get("Name") in (None, "", "no", "on-failure")  # others restart it after 0 too
    return state["Status"] == "exited" and state.get("ExitCode") == 0 and may_end


def _health_output(state: dict[str, Any]) -> list[str]:
    log = (state.get("Health") or {}).get("Log") or []
    return clean_lines(log[-1].get("Output")) if log else []


def expected_containers(engine: Engine) -> dict[str, int]:
    """Return how many containers Compose starts for each service."""
    services = engine.compose_model(interpolate=True).get("services") or {}
    return {
        name: _replicas(keys)
        for name, keys in services.items()
        if "provider" not in keys  # a program that Compose calls; it has no container
    }


def _replicas(keys: dict[str, Any]) -> int:
    scale, replicas = keys.get("scale"), (keys.get("deploy") or {}).get("replicas")
    return next((int(count) for count in (scale, replicas) if count is not None), 1)
