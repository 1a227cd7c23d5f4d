"""Fake engine of a swarm manager: answers with services and tasks in Docker's format."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed

OLD, NEW = f"host.invalid/shop@sha256:{'0' * 64}", f"host.invalid/shop@sha256:{'1' * 64}"


def spec(image: str = OLD, replicas: int = 1, **container: Any) -> dict[str, Any]:
    """Return a service specification; `container` replaces keys of its ContainerSpec."""
    return {
        "Name": "till_shop",
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Env": ["LOG_LEVEL=info"],
                "Init": True,
                "ReadOnly": True,
                "StopGracePeriod": 10_000_000_000,
                "CapabilityDrop": ["ALL"],
                "DNSConfig": {},
                "Mounts": [
                    {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 1 << 20}},
                    {"Type": "volume", "Source": "till_data", "Target": "/data"},
                ],
                "Secrets": [{"File": {"Name": "api_token"}, "SecretName": "till_api_token_1"}],
                **container,
            },
            "Resources": {
                "Limits": {"NanoCPUs": 1_000_000_000, "MemoryBytes": 1 << 28, "Pids": 64},
                "Reservations": {"NanoCPUs": 100_000_000},
            },
            "Placement": {"Constraints": ["node.labels.data == here"], "MaxReplicas": 1},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Order": "start-first", "FailureAction": "rollback"},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [{"TargetPort": 8000, "PublishedPort": 80, "PublishMode": "host"}],
        },
    }


def task(id_: str, image: str = OLD, state: str = "running", **changes: Any) -> dict[str, Any]:
    """Return a task as the engine's API describes it.

    `changes` replace its keys; `error` replaces the error in its status.
    """
    now = datetime.now(tz=UTC).isoformat().replace("+00:00", "123Z")
    status = {"State": state, "Timestamp": now, "Err": changes.pop("error", "")}
    if state != "pending":
        status["ContainerStatus"] = {"ContainerID": f"c-{id_}", "ExitCode": 0}
    return {
        "ID": id_,
        "ServiceID": "s1",
        "Slot": 1,
        "NodeID": "n1",
        "CreatedAt": now,
        "DesiredState": "running",
        "Status": status,
        "Spec": copy.deepcopy(spec(image)["TaskTemplate"]),
        **changes,
    }


def ended(id_: str, image: str = NEW, **changes: Any) -> dict[str, Any]:
    """Return a failed task."""
    return task(id_, image, **{"state": "failed", "DesiredState": "shutdown", **changes})


@dataclass(frozen=True)
class Snapshot:
    """State of the swarm's only service at one time; without tasks, the service does not exist."""

    tasks: tuple[dict[str, Any], ...]
    spec: Mapping[str, Any] = field(default_factory=spec)
    update: str = ""
    message: str = ""

    def but(self, **changes: Any) -> Snapshot:
        """Return a copy with changes."""
        return replace(self, **changes)


LEADERLESS = Snapshot((), message="no leader")  # no manager answers


@dataclass(frozen=True)
class FakeEngine:
    """Engine that shows the next snapshot each time the stack is read, and repeats the last.

    `calls` are docker commands, and requests as ("POST", path). `inputs` are what they send.
    """

    snapshots: list[Snapshot]
    calls: list[tuple[str, ...]] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)  # content by name
    program: str = "docker"
    project: str | None = None
    manager: str = '{"ControlAvailable": true, "LocalNodeState": "active"}'
    help: str = "--detach"  # of `docker stack deploy`
    refusals: list[ImageproofError] = field(default_factory=list)  # of the next POST requests

    def query(self, action: str, *arguments: str, stdin: str | None = None, **_: Any) -> str:
        self.calls.append(arguments)
        if stdin is not None:
            self.inputs.append(stdin)
        command = " ".join(arguments[:2])
        if command == "container inspect":
            raise StackFailed(action, "no such container")
        if command == "config create":
            self.configs[arguments[-2]] = str(stdin)
        if command == "config rm":
            for name in arguments[2:]:
                del self.configs[name]
        outputs = {
            "info --format": self.manager,
            "node ls": '{"ID": "n1", "Hostname": "one"}\n{"ID": "n2", "Hostname": "two"}',
            "secret ls": "\n".join(self.secrets),
        }
        return self.help if "--help" in arguments else outputs.get(command, "")

    def command(self, *arguments: str) -> list[str]:
        return [self.program, *arguments]

    def request(self, action: str, method: str, path: str, body: Any = None, *_: Any) -> Any:
        path, snapshot = path.partition("?")[0], self.snapshots[0]
        self.calls.append((method, path))
        if method == "POST":
            if self.refusals:
                raise self.refusals.pop(0)
            self.inputs.append(body)
            return {"ID": "new"}
        if path == "/tasks":  # tasks are read last
            return list(self._next_snapshot().tasks)
        if path != "/services":
            configs = [self._config(name) for name in self.configs]
            others = {"/configs": configs, "/networks": [], "/services/s1": self._service(snapshot)}
            return others[path]
        if snapshot == LEADERLESS:
            self.snapshots.pop(0)
            raise EngineUnavailable(action, "the swarm has no leader")
        if not snapshot.tasks:  # the tasks will not be read
            self._next_snapshot()
        return [self._service(snapshot)] if snapshot.tasks else []

    def _next_snapshot(self) -> Snapshot:
        """Return the current snapshot, and go on to the next one."""
        return self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]

    def _config(self, name: str) -> dict[str, Any]:
        data = base64.b64encode(self.configs[name].encode()).decode()
        return {"Spec": {"Name": name, "Data": data}, "CreatedAt": "2026-01-01T00:00:00.5Z"}

    @staticmethod
    def _service(snapshot: Snapshot) -> dict[str, Any]:
        update = {"State": snapshot.update, "Message": snapshot.message}
        return {
            "ID": "s1",
            "Version": {"Index": 7},
            "Spec": snapshot.spec,
            "UpdateStatus": update if snapshot.update else None,
        }


def fake_engine(*snapshots: Snapshot, **attributes: Any) -> Any:
    """Return a FakeEngine, typed for functions that take an Engine."""
    return FakeEngine(list(snapshots), **attributes)


def commands(engine: Any) -> Iterator[str]:
    """Yield the commands and requests that change the swarm."""
    reading = ("ls", "inspect", "--format")
    for call in engine.calls:
        if call[0] != "GET" and call[1] not in reading and "--help" not in call:
            yield " ".join(call)
