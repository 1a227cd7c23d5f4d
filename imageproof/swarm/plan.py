"""What a deployment would change: each service as the file has it, beside what the swarm has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imageproof.redaction import is_secret
from imageproof.swarm.secrets import used_by

if TYPE_CHECKING:
    from imageproof.swarm.stack_file import StackFile
    from imageproof.swarm.state import Service

Kind = Literal["new", "changed", "unchanged", "removed"]
HIDDEN = "another value"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_NANOSECONDS = {"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}


@dataclass(frozen=True)
class Change:
    """A setting of a service: what the swarm has, and what it would have."""

    setting: str
    before: str
    after: str


@dataclass(frozen=True)
class ServicePlan:
    """What would become of a service."""

    service: str
    kind: Kind
    changes: tuple[Change, ...] = ()


def plan(file: StackFile, there: Mapping[str, Service]) -> list[ServicePlan]:
    """Each service of the file and of the swarm, in the order of their names."""
    plans = []
    for name in sorted(file.services.keys() | there.keys()):
        before = _of_spec(there[name].spec) if name in there else {}
        after = _of_file(file.services[name]) if name in file.services else {}
        changes = tuple(_changes(before, after)) if after else ()
        kind: Kind = "changed" if changes else "unchanged"
        if not before:
            kind = "new"
        elif not after:
            kind = "removed"
        plans.append(ServicePlan(name, kind, changes))
    return plans


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    found = []
    for setting in sorted(before.keys() | after.keys()):
        old, new = before.get(setting, ""), after.get(setting, "")
        if old != new:
            kind, _, name = setting.partition(" ")
            if kind == "environment" and any(is_secret(name, value) for value in (old, new)):
                old, new = ("", HIDDEN) if new else (HIDDEN, "")
            found.append(Change(setting, old, new))
    return found


def _of_file(keys: Mapping[str, Any]) -> dict[str, str]:
    """A service of the file, as Compose reads it, by settings that have one text each."""
    deploy = keys.get("deploy") or {}
    resources, placement = deploy.get("resources") or {}, deploy.get("placement") or {}
    found = {
        "image": str(keys["image"]),
        "replicas": str(deploy.get("replicas", 1)) if deploy.get("mode") != "global" else "global",
        "endpoint": str(deploy.get("endpoint_mode") or "vip"),
        "init": _flag(keys.get("init")),
        "read_only": _flag(keys.get("read_only")),
        "cap_drop": _list(keys.get("cap_drop")),
        "cap_add": _list(keys.get("cap_add")),
        "stop_grace_period": _seconds(keys.get("stop_grace_period")),
        "constraints": _list(placement.get("constraints")),
        "max replicas per node": str(placement.get("max_replicas_per_node") or ""),
        "update order": str((deploy.get("update_config") or {}).get("order") or "stop-first"),
        "on failure": str((deploy.get("update_config") or {}).get("failure_action") or "pause"),
    }
    for kind in ("limits", "reservations"):
        given = resources.get(kind) or {}
        found |= _resources(kind, given.get("cpus"), given.get("memory"), given.get("pids"))
    for name, value in (keys.get("environment") or {}).items():
        found[f"environment {name}"] = "" if value is None else str(value).replace("$$", "$")
    found |= {f"secret {file}": name for file, name in keys["secrets"].items()}
    for mount in keys.get("volumes") or ():
        size = (mount.get("tmpfs") or {}).get("size") or ""
        found[f"mount {mount['target']}"] = f"{mount['type']} {size}".strip()
    for port in keys.get("ports") or ():
        found[f"port {port['target']}"] = f"{port.get('published')} {port.get('mode') or 'ingress'}"
    return {setting: value for setting, value in found.items() if value}


def _of_spec(spec: Mapping[str, Any]) -> dict[str, str]:
    """A service of the swarm by the same settings."""
    task = spec["TaskTemplate"]
    container, placement = task["ContainerSpec"], task.get("Placement") or {}
    endpoint, update = spec.get("EndpointSpec") or {}, spec.get("UpdateConfig") or {}
    replicated = spec["Mode"].get("Replicated")
    found = {
        "image": container["Image"],
        "replicas": str(replicated["Replicas"]) if replicated else "global",
        "endpoint": endpoint.get("Mode") or "vip",
        "init": _flag(container.get("Init")),
        "read_only": _flag(container.get("ReadOnly")),
        "cap_drop": _list(container.get("CapabilityDrop")),
        "cap_add": _list(container.get("CapabilityAdd")),
        "stop_grace_period": _seconds(f"{container['StopGracePeriod']}ns")
        if container.get("StopGracePeriod")
        else "",
        "constraints": _list(placement.get("Constraints")),
        "max replicas per node": str(placement.get("MaxReplicas") or ""),
        "update order": update.get("Order") or "stop-first",
        "on failure": update.get("FailureAction") or "pause",
    }
    resources = task.get("Resources") or {}
    for kind in ("limits", "reservations"):
        given = resources.get(kind.capitalize()) or {}
        cpus = (given.get("NanoCPUs") or 0) / 1e9
        found |= _resources(kind, cpus, given.get("MemoryBytes"), given.get("Pids"))
    for entry in container.get("Env") or ():
        name, _, value = entry.partition("=")
        found[f"environment {name}"] = value
    found |= {f"secret {file}": name for file, name in used_by(spec).items()}
    for mount in container.get("Mounts") or ():
        size = (mount.get("TmpfsOptions") or {}).get("SizeBytes") or ""
        found[f"mount {mount['Target']}"] = f"{mount['Type']} {size}".strip()
    for port in endpoint.get("Ports") or ():
        mode = port.get("PublishMode") or "ingress"
        found[f"port {port['TargetPort']}"] = f"{port.get('PublishedPort')} {mode}"
    return {setting: value for setting, value in found.items() if value}


def _resources(kind: str, cpus: Any, memory: Any, pids: Any) -> dict[str, str]:
    return {
        f"{kind} cpus": f"{float(cpus):g}" if cpus else "",
        f"{kind} memory": str(memory or ""),
        f"{kind} pids": str(pids or ""),
    }


def _flag(value: Any) -> str:
    return "yes" if value else ""


def _list(values: Sequence[Any] | None) -> str:
    return ", ".join(sorted(map(str, values or ())))


def _seconds(text: Any) -> str:
    """A duration, such as `1m30s`, in seconds."""
    parts = _DURATION.findall(str(text or ""))
    return f"{sum(float(n) * _NANOSECONDS[unit] for n, unit in parts) / 1e9:g} s" if parts else ""
