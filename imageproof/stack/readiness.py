"""The wait until each service of the compose file has its containers, and each is ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imageproof.console import done, say
from imageproof.errors import ConfigurationError, ImageproofError, StackFailed
from imageproof.signals import pause
from imageproof.stack.states import ServiceState, expected_containers, states

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# The interval grows during the wait, because each poll starts two processes.
MIN_POLL_SECONDS = 0.2
MAX_POLL_SECONDS = 1.0
READY_SECONDS = 60.0  # time limit for a service that the contract does not name
# Of a program that refuses its configuration or command line: the usual one, and sysexits(3).
CONFIGURATION_EXIT_STATUSES = (2, 78)
EVENT_DELAY_SECONDS = 1.0  # the engine leaves out events of the current second
SETTLE_SECONDS = 2.0  # that a container without a health check must run
ERROR_LOG_LINES = 10  # of a service that failed, in the error


def wait_until_ready(
    contract: Contract,
    engine: Engine,
    before: Sequence[ServiceState],
    *,
    quiet: bool,
    service: str | None = None,
) -> list[ServiceState]:
    """Wait until every service of the compose file is ready, and return their states.

    Args:
        contract: the time limits.
        engine: the engine with the stack.
        before: the containers before the start. Their old restarts are no failure.
        quiet: print no progress.
        service: wait for this service only.

    Raises:
        StackFailed: a container failed or is missing, or was not ready within its service's limit.
        ConfigurationError: a container ended because its configuration is wrong.
    """
    limits = {image.service: image.health.ready_within for image in contract.images.values()}
    wait = _Wait(limits, {state.id: state.restarts for state in before}, quiet=quiet)
    # A single service may have been started with another `--scale` than the file's.
    expected = {service: 1} if service else expected_containers(engine)
    started = time.monotonic()
    while True:
        current = [state for state in states(engine) if service in (None, state.service)]
        for name, count in expected.items():
            if sum(state.service == name for state in current) < count:
                raise _missing(name)
        waited = time.monotonic() - started
        pending = [state for state in current if not wait.is_over(state, waited)]
        for state in pending:
            if failure := wait.failure(state, waited):
                raise _start_error(engine, state, failure)
        if not pending:
            if not quiet and not service:
                done(f"up: {describe_services(current)}")
            return current
        pause(min(MIN_POLL_SECONDS * (1 + waited / 2), MAX_POLL_SECONDS))


@dataclass
class _Wait:
    """What the wait knows: time limits by service, and restarts before it by container id."""

    limits: Mapping[str, float]
    old_restarts: Mapping[str, int]
    quiet: bool
    reported: set[str] = field(default_factory=set)  # containers

    def is_over(self, state: ServiceState, waited: float) -> bool:
        """Return whether a container is ready; a restarted one must also run for a while."""
        if not state.ready or self._new_restarts(state):
            return False
        if state.completed:
            self._report(state, "completed", "ended with 0")
            return True
        # `waited`, because the engine's clock may be ahead of this machine's.
        if state.health is None and max(state.uptime, waited) < SETTLE_SECONDS:
            return False
        limit = self._limit(state)
        if state.restarts and state.uptime < limit and waited < limit:
            text = f"last restarted {state.uptime:.0f} s ago: watching it"
            self._report(state, "restarted", text)
            return False
        self._report(state, "ready", f"{state.health or state.status} after {waited:.1f} s")
        return True

    def failure(self, state: ServiceState, waited: float) -> str | None:
        """Return why a container will not become ready, None if it still can."""
        if restarts := self._new_restarts(state):
            return f"it ended and was restarted {restarts} {'time' if restarts == 1 else 'times'}"
        if waited > self._limit(state) and not state.ready:
            return state.failure or f"it is not healthy after {self._limit(state):.0f} s"
        # An older container may still restart, or turn healthy, because its fault was removed.
        may_recover = state.status == "restarting" or state.health == "unhealthy"
        return None if state.id in self.old_restarts and may_recover else state.failure

    def _new_restarts(self, state: ServiceState) -> int:
        return state.restarts - self.old_restarts.get(state.id, 0)

    def _limit(self, state: ServiceState) -> float:
        return self.limits.get(state.service, READY_SECONDS)

    def _report(self, state: ServiceState, kind: str, text: str) -> None:
        key = f"{state.container} {kind}"
        if key not in self.reported and not self.quiet:
            self.reported.add(key)
            say(f"  {state.service:10} {text}")


def describe_services(current: Sequence[ServiceState]) -> str:
    """Return the number of services by health: `3 services are running, 2 of them healthy`."""
    completed = {state.service for state in current if state.completed}
    running = [state for state in current if not state.completed]
    services = {state.service for state in running}
    unchecked = {state.service for state in running if state.health is None}
    text = "1 service is" if len(services) == 1 else f"{len(services)} services are"
    if not services:
        text += " running"
    elif not unchecked:
        text += " running and healthy"
    else:
        healthy = len(services - unchecked)
        text += f" running, {healthy} of them healthy, {len(unchecked)} without a health check"
    if ended := len(completed - services):
        text += f", {ended} ended with 0"
    return text


def _exit_status(engine: Engine, state: ServiceState) -> int | None:
    """Return the status with which a container ended last; None if it is unknown."""
    try:
        details = engine.inspect("container", [state.id])[0]["State"]
        if not details["Running"] or details["Restarting"]:
            return int(details["ExitCode"])
        pause(EVENT_DELAY_SECONDS)
        # It runs again: only the event has the status.
        ends = engine.events(state.id, "1h", ["die"])
        return int(ends[-1]["Actor"]["Attributes"]["exitCode"]) if ends else None
    except (ImageproofError, KeyError, ValueError):
        return None


def start_error(engine: Engine, before: Sequence[ServiceState]) -> ImageproofError | None:
    """Return the error of a container that this start ran and that failed; None: there is none.

    For Compose's own error, which has no log: a service that others wait for did not complete.
    """
    old = {state.run for state in before}
    failed = [s for s in states(engine) if s.status == "exited" and s.failure and s.run not in old]
    return _start_error(engine, failed[0], failed[0].failure or "") if failed else None


def _missing(service: str) -> StackFailed:
    return StackFailed(
        f"waiting for {service} to become healthy",
        "it has too few containers: another program removed one during the start",
        hint="run `./inv up` again; `./inv ps` lists the containers",
    )


def _start_error(engine: Engine, state: ServiceState, failure: str) -> ImageproofError:
    action = f"waiting for {state.service} to become healthy"
    tail = [f"log: {line}" for line in engine.container_log(state.container, ERROR_LOG_LINES)]
    if (status := _exit_status(engine, state)) in CONFIGURATION_EXIT_STATUSES:
        return ConfigurationError(
            action,
            f"it ended with exit status {status}: its configuration is wrong",
            tail=tail,
            hint="the log above names the value: correct it in .env, the environment or the "
            "compose file",
        )
    tail += [f"health: {line}" for line in state.health_output]
    hint = f"fix it and run `./inv up`; `docker compose up {state.service}` shows its log live"
    return StackFailed(
        action,
        failure,
        tail=tail,
        hint="; ".join(filter(None, (hint, state.help))),
    )
