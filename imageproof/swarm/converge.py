"""Watcher of a changing stack: waits until it has converged, or has certainly failed."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import EngineUnavailable, ImageproofError
from imageproof.redaction import redact
from imageproof.signals import pause
from imageproof.swarm.state import (
    ENDED_BY_ITSELF,
    RECONCILED_AT,
    Service,
    Task,
    container_settings,
    read_stack,
)

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# Seconds between two polls. They grow, because each poll runs four processes.
MIN_POLL_SECONDS = 1.0
MAX_POLL_SECONDS = 2.0
MAX_PENDING_SECONDS = 60.0  # a task may wait for a port until the old task has ended
MAX_DUPLICATE_SECONDS = 10.0  # an update may be about to remove one of two tasks
# Swarm restarts a task of a new service forever: there is no previous version to roll back to.
MAX_STARTS = 3
# swarmkit, updater.go: an update is rolled back "due to failure or early termination of task ID"
BLAMED_TASK = re.compile(r"of task (\w+)")
# States of an update that Swarm does not continue.
STOPPED = {"paused": "Swarm paused the update", "rollback_paused": "the rollback failed too"}


@dataclass(frozen=True)
class Failure:
    """Cause why a service does not converge, and the failed task."""

    service: str
    cause: str
    task: Task | None = None


@dataclass
class StackWatcher:
    """Polls a changing stack, prints each change of a task's state, and detects failures."""

    engine: Engine
    stack: str
    before: Mapping[str, Service]  # the services before the change
    updating: frozenset[str] = frozenset()  # services that Swarm must report as completed
    node_names: dict[str, str] = field(default_factory=dict, init=False)  # by id
    printed_states: dict[str, str] = field(default_factory=dict, init=False)  # by task id
    blamed_tasks: dict[str, str] = field(default_factory=dict, init=False)  # task id by service
    duplicate_since: dict[str, float] = field(default_factory=dict, init=False)  # by service
    reconciled: set[str] = field(default_factory=set, init=False)  # services
    rolled_back: set[str] = field(default_factory=set, init=False)  # services, by Swarm itself

    def wait(self, timeout: float) -> tuple[dict[str, Service], Failure | None]:
        """Wait until all services are settled, or one has failed for good.

        Args:
            timeout: Seconds until an unsettled service counts as failed.

        Returns:
            The services at the end, and the failure, if any.
        """
        started = time.monotonic()
        rollback_cause: Failure | None = None
        old_tasks = {task.id for service in self.before.values() for task in service.tasks}
        while True:
            try:
                services = read_stack(self.engine, self.stack, self.node_names)
            except EngineUnavailable:  # during the election of a leader, Swarm goes on
                if time.monotonic() - started > timeout:
                    raise
                pause(MIN_POLL_SECONDS)
                continue
            self._record_updates(services)
            self._print_changes(services, old_tasks)
            failures = [f for s in services.values() if (f := self._failure(s, old_tasks))]
            # Swarm's own rollback must end first, so that only the old version runs.
            if failures and not any(map(_rollback_continues, services.values())):
                return services, failures[0]
            rollback_cause = next(iter(failures), rollback_cause)
            if not failures and services and all(map(self._is_done, services.values())):
                return services, rollback_cause
            self._reconcile_duplicates(services)
            elapsed = time.monotonic() - started
            if elapsed > timeout:
                return services, failures[0] if failures else _timed_out(services, timeout)
            pause(min(MIN_POLL_SECONDS * (1 + elapsed / 10), MAX_POLL_SECONDS))

    def _record_updates(self, services: Mapping[str, Service]) -> None:
        """Remember rollbacks and blamed tasks: later polls may no longer show them."""
        for service in services.values():
            if service.update.startswith("rollback"):
                self.rolled_back.add(service.name)
            if match := BLAMED_TASK.search(service.message):
                self.blamed_tasks[service.name] = match[1]

    def _print_changes(self, services: Mapping[str, Service], old_tasks: set[str]) -> None:
        for task in (task for service in services.values() for task in service.tasks):
            is_old = task.id in old_tasks
            printed = self.printed_states.get(task.id)
            self.printed_states[task.id] = task.state
            # The first state of an old task is not a change.
            if task.state != printed and not (is_old and printed is None):
                node = f" on {task.node}" if task.node else ""
                error = f": {redact(task.error)}" if task.error else ""
                name = f"{task.name} (old)" if is_old else task.name
                console.say(f"  {name:16} {task.state}{node}{error}")

    def _reconcile_duplicates(self, services: Mapping[str, Service]) -> None:
        """Make Swarm reconcile a service that has had two tasks in one slot for too long.

        If a task ends just when a start-first update is about to remove it, it is replaced twice:
        by the updater and by the restart supervisor (swarmkit: "already shut down when reached by
        updater"). Swarm keeps both tasks; if no node has room for a third, the update never ends.
        Any change of the service starts a new update, which removes the surplus task.
        """
        now = time.monotonic()
        names = {name for name, service in services.items() if service.has_duplicate_tasks}
        self.duplicate_since = {
            name: self.duplicate_since.get(name, now) for name in sorted(names - self.reconciled)
        }
        for name, since in self.duplicate_since.items():
            if now - since > MAX_DUPLICATE_SECONDS:
                console.say(f"  {name}: two tasks in one slot; asking Swarm to reconcile")
                label = f"--label-add={RECONCILED_AT}={datetime.now(tz=UTC):%FT%TZ}"
                update = ("service", "update", "--detach", label, services[name].full_name)
                # On failure, the service has just changed: the next poll decides again.
                with contextlib.suppress(ImageproofError):
                    self.engine.query(f"reconciling {name}", *update)
                    self.reconciled.add(name)

    def _is_done(self, service: Service) -> bool:
        needs_report = service.name in self.updating and service.name not in self.reconciled
        return service.settled and (service.update == "completed" or not needs_report)

    def _failure(self, service: Service, old_tasks: set[str]) -> Failure | None:
        """Return the failure of a service; None if it may still converge."""
        new = [task for task in service.tasks if task.id not in old_tasks]
        ended = [task for task in new if task.state in ENDED_BY_ITSELF]
        # The task that Swarm blames for the rollback; otherwise the last one that ended by itself.
        blamed = [task for task in service.tasks if task.id == self.blamed_tasks.get(service.name)]
        task = next(iter(blamed + ended[-1:]), None)
        cause = describe(task) if task else service.message
        if service.update in STOPPED:
            return Failure(service.name, f"{cause}; {STOPPED[service.update]}", task)
        if service.update.startswith("rollback"):
            return Failure(service.name, cause, task)
        for waiting in new:
            if (
                waiting.wanted
                and waiting.state == "pending"
                and _age_seconds(waiting) > MAX_PENDING_SECONDS
            ):
                reason = waiting.error or "Swarm gives no reason"
                return Failure(service.name, f"no node for {waiting.name}: {reason}", waiting)
        if not service.update and len(ended) >= MAX_STARTS:
            return Failure(service.name, f"{cause}; it was started {len(ended)} times", task)
        return None


def _rollback_continues(service: Service) -> bool:
    """Return whether Swarm is rolling the service back, or duplicate tasks delay its end."""
    return service.update == "rollback_started" or service.has_duplicate_tasks


def updated_services(before: Mapping[str, Service], after: Mapping[str, Service]) -> frozenset[str]:
    """Return the services that existed before and whose tasks Swarm has to replace."""
    names = set()
    for name in before.keys() & after.keys():
        old, new = before[name].spec, after[name].spec
        if container_settings(old["TaskTemplate"]) != container_settings(new["TaskTemplate"]) or (
            old.get("EndpointSpec") != new.get("EndpointSpec")
        ):
            names.add(name)
    return frozenset(names)


def describe(task: Task) -> str:
    """Return a task's name, node, state and error in one line."""
    name = f"{task.name} on {task.node}" if task.node else task.name
    if task.error:
        return f"{name} is {task.state}: {redact(task.error)}"
    if task.state == "complete":  # an unhealthy container may exit with 0 when it is stopped
        return f"{name} was unhealthy and therefore stopped, or exited by itself"
    return f"{name} is {task.state}"


def _timed_out(services: Mapping[str, Service], timeout: float) -> Failure:
    for service in services.values():
        if not service.settled:
            missing = next((t for t in service.tasks if t.wanted and t.state != "running"), None)
            running = f"{len(service.running)} of {service.replicas} tasks running"
            detail = f"; {describe(missing)}" if missing else ""
            cause = f"{service.name}: {running} after {timeout:.0f} s{detail}"
            return Failure(service.name, cause, missing)
    return Failure("", f"Swarm has not completed the update after {timeout:.0f} s")


def _age_seconds(task: Task) -> float:
    """Return the task's age. It assumes that the manager's clock agrees with this machine's."""
    created = datetime.fromisoformat(re.sub(r"\.\d+", "", task.created))
    return (datetime.now(tz=UTC) - created).total_seconds()
