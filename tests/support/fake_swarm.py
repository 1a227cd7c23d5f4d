"""A swarm that answers as Docker does, for tests of imageproof.swarm: services and tasks as JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from imageproof.errors import EngineUnavailable, StackFailed

OLD, NEW = f"host.invalid/shop@sha256:{'0' * 64}", f"host.invalid/shop@sha256:{'1' * 64}"


def spec(image: str = OLD, replicas: int = 1, **container: Any) -> dict[str, Any]:
    """A service as `docker service inspect` has it; `container` replaces keys of that."""
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
    """A task as `docker inspect --type=task` has it."""
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
    """A task that failed."""
    return task(id_, image, **{"state": "failed", "DesiredState": "shutdown", **changes})


@dataclass(frozen=True)
class Moment:
    """What the swarm says at one time."""

    tasks: tuple[dict[str, Any], ...]
    spec: Mapping[str, Any] = field(default_factory=spec)
    previous: Mapping[str, Any] | None = None
    update: str = ""
    message: str = ""

    def then(self, **changes: Any) -> Moment:
        return replace(self, **changes)


LEADERLESS = Moment((), message="nobody answers")


@dataclass(frozen=True)
class Told:
    """An engine that tells one moment after the other, and goes on with the last."""

    moments: list[Moment]
    said: list[tuple[str, ...]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    client: str = "docker"
    project: str | None = None
    manager: str = '{"ControlAvailable": true, "LocalNodeState": "active"}'

    def query(self, action: str, *arguments: str, stdin: str | None = None, **_: Any) -> str:
        self.said.append(arguments)
        if stdin is not None:
            self.given.append(stdin)
        asked, moment = " ".join(arguments[:2]), self.moments[0]
        if asked == "container inspect":
            raise StackFailed(action, "no such container")
        if moment == LEADERLESS:
            self.moments.pop(0)
            raise EngineUnavailable(action, "the swarm has no leader")
        if asked == "service ls" and not moment.tasks:  # of no service nobody asks for tasks
            self.tasks(())
        answers = {
            "info --format": self.manager,
            "service ls": "s1" if moment.tasks else "",
            "service inspect": json.dumps([self._service(moment)]),
            "service ps": "\n".join(found["ID"] for found in moment.tasks),
            "node ls": '{"ID": "n1", "Hostname": "one"}\n{"ID": "n2", "Hostname": "two"}',
            "secret ls": "\n".join(self.secrets),
        }
        return answers.get(asked, "")

    def tasks(self, _: Any) -> list[dict[str, Any]]:
        """Whoever asked for the tasks has seen this moment."""
        moment = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
        return list(moment.tasks)

    @staticmethod
    def _service(moment: Moment) -> dict[str, Any]:
        update = {"State": moment.update, "Message": moment.message} if moment.update else None
        return {
            "ID": "s1",
            "Spec": moment.spec,
            "PreviousSpec": moment.previous,
            "UpdateStatus": update,
        }


def told(*moments: Moment, **more: Any) -> Any:
    """The same, for what takes an Engine."""
    return Told(list(moments), **more)


def commands(engine: Any) -> Iterator[str]:
    """What the engine was asked to do, without the questions."""
    questions = ("ls", "inspect", "ps", "--format")
    yield from (" ".join(a) for a in engine.said if a[1] not in questions)
