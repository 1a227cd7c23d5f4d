"""State of a stack on a swarm: its services, with the wanted specification, and their tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imageproof.errors import EngineUnavailable

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# States of a task that ended by itself, although a service should run forever (swarmkit,
# design/task_model.md).
ENDED_BY_ITSELF = frozenset({"complete", "failed", "rejected"})
NAMESPACE = "com.docker.stack.namespace"
# Label of a service; its change makes Swarm reconcile the service.
RECONCILED_AT = "imageproof.reconciled-at"
# States of an update that has come to its end.
ENDED_UPDATES = frozenset({"", "completed", "rollback_completed"})


@dataclass(frozen=True)
class Task:
    """One container of a service, now or in the past.

    If the image has a health check, the state `running` means healthy: Swarm replaces a task that
    is no longer healthy.
    """

    id: str
    service: str
    slot: int
    node: str  # name; empty until Swarm has chosen a node
    state: str
    desired: str
    error: str
    image: str
    container: str
    created: str  # timestamp, as the engine writes it
    since: str  # timestamp of the state
    settings: Mapping[str, Any] = field(repr=False)  # container_settings() of its specification

    @property
    def name(self) -> str:
        """SERVICE.SLOT, as in `docker service ps`."""
        return f"{self.service}.{self.slot}"

    @property
    def wanted(self) -> bool:
        """Whether Swarm wants the task to run."""
        return self.desired in ("running", "ready")


@dataclass(frozen=True)
class Service:
    """A service of the stack, with its specification."""

    id: str
    version: int  # Swarm refuses a change of another version than the current one
    name: str
    full_name: str  # STACK_NAME
    spec: Mapping[str, Any] = field(repr=False)
    update: str  # state of its last update: updating, completed, rollback_completed, …, or empty
    message: str  # of that update
    tasks: tuple[Task, ...]

    @property
    def image(self) -> str:
        """The image in the specification."""
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Image"])

    @property
    def replicas(self) -> int:
        """The wanted number of tasks."""
        replicated = self.spec["Mode"].get("Replicated")
        if replicated is None:  # global: one task per node
            return sum(task.wanted for task in self.tasks)
        return int(replicated["Replicas"])

    @property
    def running(self) -> tuple[Task, ...]:
        """The wanted tasks that are running and healthy."""
        return tuple(task for task in self.tasks if task.wanted and task.state == "running")

    @property
    def settled(self) -> bool:
        """Whether exactly the wanted tasks run, with the current specification."""
        wanted = [task for task in self.tasks if task.wanted]
        return (
            self.update in ENDED_UPDATES
            and len(wanted) == len(self.running) == self.replicas
            and all(map(self._is_current, wanted))
        )

    @property
    def has_duplicate_tasks(self) -> bool:
        """Whether Swarm wants two tasks in one slot, and no running update explains it.

        Both have the current specification; one runs, the other runs too or finds no node.
        """
        slots: dict[int, list[Task]] = {}
        for task in self.tasks:
            if task.wanted and task.slot:  # a global service has no slots
                slots.setdefault(task.slot, []).append(task)
        return any(
            len(tasks) > 1
            and {"running"} <= {task.state for task in tasks} <= {"running", "pending"}
            and all(map(self._is_current, tasks))
            for tasks in slots.values()
        )

    def _is_current(self, task: Task) -> bool:
        return bool(task.settings == container_settings(self.spec["TaskTemplate"]))


def container_settings(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a task template whose change requires a new container."""
    container = {
        key: value
        for key, value in template["ContainerSpec"].items()
        if value not in (None, {}, [])  # the engine sometimes omits empty values
    }
    resources = template.get("Resources") or {}
    return {
        "container": container,
        "limits": resources.get("Limits") or {},
        "reservations": resources.get("Reservations") or {},
        "force": template.get("ForceUpdate", 0),
    }


def release_settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a service's specification that belongs to a release.

    The label RECONCILED_AT does not, and neither does the counter that `docker service update
    --force` increases.
    """
    labels = {k: v for k, v in (spec.get("Labels") or {}).items() if k != RECONCILED_AT}
    template = {k: v for k, v in spec["TaskTemplate"].items() if k != "ForceUpdate"}
    return {**spec, "Labels": labels, "TaskTemplate": template}


def require_manager(engine: Engine) -> None:
    """Raise EngineUnavailable unless the engine is a manager of a swarm."""
    action = "looking for the swarm"
    answer = engine.query(action, "info", "--format", "{{json .Swarm}}", fallback=EngineUnavailable)
    swarm = json.loads(answer) or {}
    if swarm.get("ControlAvailable"):
        return
    if swarm.get("LocalNodeState") == "active":
        raise EngineUnavailable(
            action,
            "this node is a worker of its swarm, and only managers answer",
            hint="use a manager: `--host ssh://USER@MANAGER` or `--context NAME`",
        )
    raise EngineUnavailable(
        action,
        f"the engine is not part of a swarm (state: {swarm.get('LocalNodeState') or 'unknown'})",
        hint="`docker swarm init` creates a swarm; `--host` or `--context` selects another engine",
    )


def read_stack(
    engine: Engine, stack: str, node_names: dict[str, str] | None = None
) -> dict[str, Service]:
    """Return the services of a stack by their names in the stack file; empty if there is none.

    Args:
        engine: A manager's engine.
        stack: The stack's name.
        node_names: Names of nodes by id, from an earlier call; filled in if a task runs on an
            unknown node.
    """
    action = f"reading the stack {stack}"
    # From the API, not by `docker service inspect`, which fills in defaults and drops settings that
    # the program does not know.
    of_stack = "filters=" + quote(json.dumps({"label": [f"{NAMESPACE}={stack}"]}))
    services = engine.request(action, "GET", f"/services?{of_stack}")
    if not services:
        return {}
    tasks = engine.request(action, "GET", f"/tasks?{of_stack}")
    names = {} if node_names is None else node_names
    if any(task.get("NodeID") not in names for task in tasks if task.get("NodeID")):
        names |= {node["ID"]: node["Hostname"] for node in read_nodes(engine)}
    by_name = {}
    for service in sorted(services, key=lambda service: str(service["Spec"]["Name"])):
        full_name = service["Spec"]["Name"]
        name = full_name.removeprefix(f"{stack}_")
        own_tasks = [_task(name, t, names) for t in tasks if t["ServiceID"] == service["ID"]]
        update = service.get("UpdateStatus") or {}
        by_name[name] = Service(
            id=service["ID"],
            version=service["Version"]["Index"],
            name=name,
            full_name=full_name,
            spec=service["Spec"],
            update=update.get("State") or "",
            message=update.get("Message") or "",
            tasks=tuple(sorted(own_tasks, key=lambda task: (task.slot, task.created))),
        )
    return by_name


def read_nodes(engine: Engine) -> list[dict[str, Any]]:
    """Return the nodes of the swarm, as `docker node ls` prints them."""
    lines = engine.query("listing the nodes", "node", "ls", "--format", "{{json .}}").splitlines()
    return [json.loads(line) for line in lines]


def _task(service: str, task: Mapping[str, Any], node_names: Mapping[str, str]) -> Task:
    status = task["Status"]
    container = status.get("ContainerStatus") or {}
    node_id = task.get("NodeID") or ""
    return Task(
        id=task["ID"],
        service=service,
        slot=task.get("Slot") or 0,
        node=node_names.get(node_id, node_id),
        state=status["State"],
        desired=task["DesiredState"],
        error=status.get("Err") or "",
        image=task["Spec"]["ContainerSpec"]["Image"],
        container=container.get("ContainerID") or "",
        created=task["CreatedAt"],
        since=status["Timestamp"],
        settings=container_settings(task["Spec"]),
    )
