"""Waiting for a stack to become what it shall be, and saying why it does not."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import EngineUnavailable, ImageproofError
from imageproof.redaction import redact
from imageproof.signals import pause
from imageproof.swarm.state import BROKEN, Service, Task, asked, read
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

POLL_SECONDS = 1.0  # at first; who waits long asks less often, since each look is four processes
POLL_MOST = 2.0
PENDING_SECONDS = 60.0  # that a task may find no node: a port is free when the old task has ended
CROWDED_SECONDS = 10.0  # that two tasks may have one slot: an update may be about to remove one
ATTEMPTS = 3  # of a service that had no version before, and so is started again without end
LOG_LINES = 10
LOG_SECONDS = 10.0  # that a node may take to send a log
# swarmkit, updater.go: an update is rolled back "due to failure or early termination of task ID"
_CULPRIT = re.compile(r"of task (\w+)")
LOOKED_AT = "imageproof.looked-at"  # label of a service that Swarm was asked to look at once more
STOPPED = {"paused": "it was paused", "rollback_paused": "and taking it back failed as well"}


@dataclass(frozen=True)
class Failure:
    """Why a service does not become what it shall be, and the task that shows it."""

    service: str
    cause: str
    task: Task | None = None


@dataclass
class Watch:
    """A stack while it changes: tells each step of each task, and notices what fails.

    `before`: the services as they were, whose tasks are no news. `updating`: services that change,
    and are done only when Swarm says so. `back`: a rollback was asked for, and is no failure.
    """

    engine: Engine
    stack: str
    before: Mapping[str, Service]
    updating: frozenset[str] = frozenset()
    back: bool = False
    nodes: dict[str, str] = field(default_factory=dict, init=False)  # id: name
    told: dict[str, str] = field(default_factory=dict, init=False)
    culprits: dict[str, str] = field(default_factory=dict, init=False)  # service: id of a task
    crowded: dict[str, float] = field(default_factory=dict, init=False)  # service: since when
    mended: set[str] = field(default_factory=set, init=False)  # services
    rolled_back: set[str] = field(default_factory=set, init=False)  # services, by Swarm

    def wait(self, seconds: float) -> tuple[dict[str, Service], Failure | None]:
        """The services when all are settled, or when one fails for good, with its failure."""
        started = time.monotonic()
        taken_back: Failure | None = None
        old = {task.id for service in self.before.values() for task in service.tasks}
        while True:
            try:
                services = read(self.engine, self.stack, self.nodes)
            except EngineUnavailable:  # managers elect a leader: the deployment goes on meanwhile
                if time.monotonic() - started > seconds:
                    raise
                pause(POLL_SECONDS)
                continue
            self._tell(services, old)
            found = list(filter(None, (self._failure(s, old) for s in services.values())))
            # What Swarm takes back is waited for: the old version must run again, and no other.
            if found and not any(map(_is_taken_back, services.values())):
                return services, found[0]
            taken_back = next(iter(found), taken_back)
            if not found and services and all(map(self._done, services.values())):
                return services, taken_back
            self._mend(services)
            waited = time.monotonic() - started
            if waited > seconds:
                return services, found[0] if found else _late(services, seconds)
            pause(min(POLL_SECONDS * (1 + waited / 10), POLL_MOST))

    def _tell(self, services: Mapping[str, Service], old: set[str]) -> None:
        for service in services.values():
            if service.update.startswith("rollback"):
                self.rolled_back.add(service.name)
            if culprit := _CULPRIT.search(service.message):
                self.culprits[service.name] = culprit[1]
            for task in service.tasks:
                known = self.told.get(task.id)
                first_of_old = known is None and task.id in old
                self.told[task.id] = task.state
                if task.state != known and not first_of_old:
                    where = f" on {task.node}" if task.node else ""
                    why = f": {redact(task.error)}" if task.error else ""
                    which = f"{task.name} (old)" if task.id in old else task.name
                    console.say(f"  {which:16} {task.state}{where}{why}")

    def _mend(self, services: Mapping[str, Service]) -> None:
        """Have Swarm look at a service once more where two tasks have one slot for good.

        A task that ends just when a start-first update is about to remove it is replaced twice: by
        the update and by whoever restarts tasks (swarmkit: "already shut down when reached by
        updater"). Swarm goes on with both, and where no node has room for a third, with an update
        that never ends. Any change of the service begins another, which removes what is too much.
        """
        now = time.monotonic()
        crowded = {name for name, service in services.items() if service.crowded}
        self.crowded = {name: self.crowded.get(name, now) for name in crowded - self.mended}
        for name, since in self.crowded.items():
            if now - since > CROWDED_SECONDS:
                console.say(f"  {name}: two tasks in one slot; Swarm is asked to look again")
                label = f"--label-add={LOOKED_AT}={datetime.now(tz=UTC):%FT%TZ}"
                update = ("service", "update", "--detach", label, services[name].full_name)
                with contextlib.suppress(
                    ImageproofError
                ):  # it changed just now: the next look tells
                    self.engine.query(f"mending {name}", *update)
                    self.mended.add(name)

    def _done(self, service: Service) -> bool:
        said = "rollback_completed" if self.back else "completed"
        unsaid = service.name not in self.updating or service.name in self.mended
        return service.settled and (unsaid or service.update == said)

    def _failure(self, service: Service, old: set[str]) -> Failure | None:
        """What went wrong with a service, if that is certain."""
        new = [task for task in service.tasks if task.id not in old]
        # A task that took an update with it, or else the last that ended by itself.
        ended = [task for task in new if task.state in BROKEN]
        named = [task for task in service.tasks if task.id == self.culprits.get(service.name)]
        culprit = next(iter(named + ended[-1:]), None)
        cause = describe(culprit) if culprit else service.message
        if service.update in STOPPED:
            return Failure(service.name, f"{cause}; {STOPPED[service.update]}", culprit)
        if service.update.startswith("rollback") and not self.back:
            return Failure(service.name, cause, culprit)
        for task in new:
            if task.wanted and task.state == "pending" and _age(task) > PENDING_SECONDS:
                why = task.error or "no reason is given"
                return Failure(service.name, f"{task.name} finds no node: {why}", task)
        if not service.update and len(ended) >= ATTEMPTS:
            return Failure(service.name, f"{cause}; it was started {len(ended)} times", culprit)
        return None


def _is_taken_back(service: Service) -> bool:
    return service.update == "rollback_started" or service.crowded


def is_another(old: Service, new: Service) -> bool:
    """Whether a service shall be something else, but for what was done to have it looked at."""
    specs = [{**s.spec, "Labels": {**(s.spec.get("Labels") or {})}} for s in (old, new)]
    for spec in specs:
        spec["Labels"].pop(LOOKED_AT, None)
    return specs[0] != specs[1]


def changed(before: Mapping[str, Service], after: Mapping[str, Service]) -> frozenset[str]:
    """The services whose tasks Swarm has to replace, of those that were there before."""
    found = set()
    for name in before.keys() & after.keys():
        old, new = before[name].spec, after[name].spec
        if asked(old["TaskTemplate"]) != asked(new["TaskTemplate"]) or (
            old.get("EndpointSpec") != new.get("EndpointSpec")
        ):
            found.add(name)
    return frozenset(found)


def describe(task: Task) -> str:
    """What became of a task, in one line."""
    where = f" on {task.node}" if task.node else ""
    if task.error:
        return f"{task.name}{where} is {task.state}: {redact(task.error)}"
    if task.state == "complete":
        # A container that is not healthy is stopped like any other, and may end well.
        return f"{task.name}{where} was stopped since it was not healthy, or ended by itself"
    return f"{task.name}{where} is {task.state}"


def _late(services: Mapping[str, Service], seconds: float) -> Failure:
    for service in services.values():
        if not service.settled:
            missing = next((t for t in service.tasks if t.wanted and t.state != "running"), None)
            run = f"{len(service.running)} of {service.replicas} tasks run"
            why = f"; {describe(missing)}" if missing else ""
            return Failure(service.name, f"after {seconds:.0f} s {run}{why}", missing)
    return Failure("", f"Swarm is not done after {seconds:.0f} s")


def _age(task: Task) -> float:
    """Seconds since the task was made, by the manager's clock and this one's."""
    made = datetime.fromisoformat(re.sub(r"\.\d+", "", task.created))
    return (datetime.now(tz=UTC) - made).total_seconds()


def last_words(engine: Engine, task: Task) -> list[str]:
    """The end of a task's log, wherever it ran, and of its health check's, where it ran here."""
    return [
        *(f"log: {line}" for line in _log(engine, task)),
        *(f"health: {line}" for line in _health(engine, task)),
    ]


def _log(engine: Engine, task: Task) -> list[str]:
    if not task.container:  # it never had one
        return []
    command = [engine.client, "service", "logs", "--raw", f"--tail={LOG_LINES}", task.id]
    # Swarm asks the task's node, and waits for one that is gone: hence a bound of our own.
    with contextlib.suppress(subprocess.TimeoutExpired, FileNotFoundError):
        found = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LOG_SECONDS
        )
        return [redact(line) for line in clean_lines(found.stdout + found.stderr)[-LOG_LINES:]]
    return []


def _health(engine: Engine, task: Task) -> list[str]:
    with contextlib.suppress(ImageproofError, ValueError, IndexError):
        state = json.loads(engine.query("asking", "container", "inspect", task.container))[0][
            "State"
        ]
        log = (state.get("Health") or {}).get("Log") or []
        return [redact(line) for line in clean_lines(log[-1].get("Output"))]
    return []
