"""What a swarm says of a stack: its services, as they shall be, and their tasks, as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imageproof.errors import EngineUnavailable, UsageError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# swarmkit, design/task_model.md: a task goes through these in their order, and never back.
ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
BROKEN = frozenset({"complete", "failed", "rejected"})  # ended by itself: a service goes on
NAMESPACE = "com.docker.stack.namespace"


@dataclass(frozen=True)
class Task:
    """A container that Swarm wants on a node, or wanted. With a health check it is `running` only
    once it is healthy, and is replaced when it no longer is."""

    id: str
    service: str
    slot: int
    node: str  # its name; empty as long as it has none
    state: str
    desired: str
    error: str
    image: str
    container: str
    exit_code: int
    created: str  # time, as the engine writes it
    since: str  # time of its state
    spec: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """SERVICE.SLOT, as Swarm names it."""
        return f"{self.service}.{self.slot}"

    @property
    def wanted(self) -> bool:
        """Whether it shall run."""
        return self.desired in ("running", "ready")


@dataclass(frozen=True)
class Service:
    """A service of the stack; `spec` is what it shall be, `previous` what it was before."""

    name: str
    full_name: str
    spec: Mapping[str, Any] = field(repr=False)
    previous: Mapping[str, Any] | None = field(repr=False)
    update: str  # state of its last update: updating, completed, rollback_completed, ...; or empty
    message: str
    tasks: tuple[Task, ...]

    @property
    def image(self) -> str:
        """What its tasks shall run."""
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Image"])

    @property
    def replicas(self) -> int:
        """How many tasks there shall be."""
        replicated = self.spec["Mode"].get("Replicated")
        if replicated is None:  # one a node
            return sum(task.wanted for task in self.tasks)
        return int(replicated["Replicas"])

    @property
    def running(self) -> tuple[Task, ...]:
        """The tasks that run, healthy, and shall."""
        return tuple(task for task in self.tasks if task.wanted and task.state == "running")

    @property
    def settled(self) -> bool:
        """Every task that it shall have runs, as it shall be, and there is no other."""
        wanted = [task for task in self.tasks if task.wanted]
        return (
            self.update in ("", "completed", "rollback_completed")
            and len(wanted) == len(self.running) == self.replicas
            and all(map(self._as_it_shall_be, wanted))
        )

    @property
    def crowded(self) -> bool:
        """Whether a slot has two tasks that Swarm wants, though the one that runs is as it shall
        be, and the other runs as well or finds no node: no update is on its way there."""
        slots: dict[int, list[Task]] = {}
        for task in self.tasks:
            if task.wanted and task.slot:  # a service with one task a node has no slots
                slots.setdefault(task.slot, []).append(task)
        return any(
            len(tasks) > 1
            and {"running"} <= {task.state for task in tasks} <= {"running", "pending"}
            and all(map(self._as_it_shall_be, tasks))
            for tasks in slots.values()
        )

    def _as_it_shall_be(self, task: Task) -> bool:
        return bool(task.spec == asked(self.spec["TaskTemplate"]))


def asked(template: Mapping[str, Any]) -> dict[str, Any]:
    """Of a task's specification, what makes another container of it."""
    container = {
        key: value
        for key, value in template["ContainerSpec"].items()
        if value not in (None, {}, [])  # the engine writes some of these, or leaves them out
    }
    resources = template.get("Resources") or {}
    return {
        "container": container,
        "limits": resources.get("Limits") or {},
        "reservations": resources.get("Reservations") or {},
        "force": template.get("ForceUpdate", 0),
    }


def require_manager(engine: Engine) -> None:
    """Raise EngineUnavailable unless the engine is a manager of a swarm: nobody else may ask."""
    action = "asking for the swarm"
    answer = engine.query(action, "info", "--format", "{{json .Swarm}}", fallback=EngineUnavailable)
    found = json.loads(answer) or {}
    if found.get("ControlAvailable"):
        return
    if found.get("LocalNodeState") == "active":
        raise EngineUnavailable(
            action,
            "this node is a worker of its swarm, and only managers answer",
            hint="`--host ssh://MANAGER` or `--context NAME` asks a manager",
        )
    raise EngineUnavailable(
        action,
        f"the engine is in no swarm ({found.get('LocalNodeState') or 'no state'})",
        hint="`docker swarm init` makes one of it; `--host` or `--context` asks another engine",
    )


def read(engine: Engine, stack: str, names: dict[str, str] | None = None) -> dict[str, Service]:
    """The services of a stack by their names in its file; none where there is no such stack.

    `names`: of nodes that are known, by their ids; where a task has another, all are asked for and
    added to it, for the next time.
    """
    action = f"asking for the stack {stack}"
    of_it = ("--filter", f"label={NAMESPACE}={stack}")
    ids = engine.query(action, "service", "ls", "--quiet", *of_it).split()
    if not ids:
        return {}
    services = json.loads(engine.query(action, "service", "inspect", *ids))
    # `service ps` names tasks alone; the wide `node ls` is one question for all of their nodes.
    listed = engine.query(action, "service", "ps", "--quiet", "--no-trunc", *ids).split()
    tasks = engine.tasks(listed) if listed else []
    nodes = {} if names is None else names
    if any(task.get("NodeID") not in nodes for task in tasks if task.get("NodeID")):
        nodes |= {node["ID"]: node["Hostname"] for node in read_nodes(engine)}
    found = {}
    for service in sorted(services, key=lambda service: str(service["Spec"]["Name"])):
        full_name = service["Spec"]["Name"]
        name = full_name.removeprefix(f"{stack}_")
        own = [_task(name, task, nodes) for task in tasks if task["ServiceID"] == service["ID"]]
        update = service.get("UpdateStatus") or {}
        found[name] = Service(
            name,
            full_name,
            service["Spec"],
            service.get("PreviousSpec"),
            update.get("State") or "",
            update.get("Message") or "",
            tuple(sorted(own, key=lambda task: (task.slot, task.created))),
        )
    return found


def existing(engine: Engine, stack: str) -> dict[str, Service]:
    """The same of a stack that must be there. Raises UsageError where it is not."""
    found = read(engine, stack)
    if not found:
        raise UsageError(
            f"asking for the stack {stack}",
            "the swarm has no stack of that name",
            hint="`docker stack ls` lists them; `./inv deploy --name NAME` makes one",
        )
    return found


def read_nodes(engine: Engine) -> list[dict[str, Any]]:
    """The nodes of the swarm, as `docker node ls` tells them."""
    lines = engine.query(
        "asking for the nodes", "node", "ls", "--format", "{{json .}}"
    ).splitlines()
    return [json.loads(line) for line in lines]


def _task(service: str, task: Mapping[str, Any], nodes: Mapping[str, str]) -> Task:
    status = task["Status"]
    container = status.get("ContainerStatus") or {}
    node = task.get("NodeID") or ""
    return Task(
        id=task["ID"],
        service=service,
        slot=task.get("Slot") or 0,
        node=nodes.get(node, node),
        state=status["State"],
        desired=task["DesiredState"],
        error=status.get("Err") or "",
        image=task["Spec"]["ContainerSpec"]["Image"],
        container=container.get("ContainerID") or "",
        exit_code=container.get("ExitCode") or 0,
        created=task["CreatedAt"],
        since=status["Timestamp"],
        spec=asked(task["Spec"]),
    )
