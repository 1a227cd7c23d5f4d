"""Plan of a deployment: the settings of each service that would change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imageproof.redaction import is_secret
from imageproof.swarm.secrets import names_by_file

if TYPE_CHECKING:
    from imageproof.swarm.stack_file import StackFile
    from imageproof.swarm.state import Service

Kind = Literal["new", "changed", "unchanged", "removed"]
HIDDEN = "(hidden)"  # shown instead of a secret
_DURATION = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_NANOSECONDS = {"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}


@dataclass(frozen=True)
class Change:
    """A setting of a service before and after the deployment; empty text if it is unset."""

    setting: str
    before: str
    after: str


@dataclass(frozen=True)
class ServicePlan:
    """Changes of one service; none listed if it is removed."""

    service: str
    kind: Kind
    changes: tuple[Change, ...] = ()


def plan(stack_file: StackFile, current: Mapping[str, Service]) -> list[ServicePlan]:
    """Compare the stack file with the services of the swarm, and return a plan per service."""
    plans = []
    for name in sorted(stack_file.services.keys() | current.keys()):
        if name not in stack_file.services:
            plans.append(ServicePlan(name, "removed"))
            continue
        before = _settings_of_spec(current[name].spec) if name in current else {}
        changes = _changes(before, _settings_of_file(stack_file.services[name]))
        kind: Kind = "changed" if changes else "unchanged"
        plans.append(ServicePlan(name, kind if name in current else "new", tuple(changes)))
    return plans


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    changes = []
    for setting in sorted(before.keys() | after.keys()):
        old, new = before.get(setting, ""), after.get(setting, "")
        if old != new:
            kind, _, name = setting.partition(" ")
            if kind == "environment" and (is_secret(name, old) or is_secret(name, new)):
                old, new = ("", HIDDEN) if new else (HIDDEN, "")
            changes.append(Change(setting, old, new))
    return changes


def _settings_of_file(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a service in the stack file as text, without unset ones."""
    deploy = definition.get("deploy") or {}
    resources, placement = deploy.get("resources") or {}, deploy.get("placement") or {}
    settings = {
        "image": str(definition["image"]),
        "replicas": str(deploy.get("replicas", 1)) if deploy.get("mode") != "global" else "global",
        "endpoint": str(deploy.get("endpoint_mode") or "vip"),
        "init": _flag(definition.get("init")),
        "read_only": _flag(definition.get("read_only")),
        "cap_drop": _list(definition.get("cap_drop")),
        "cap_add": _list(definition.get("cap_add")),
        "stop_grace_period": _seconds(definition.get("stop_grace_period")),
        "constraints": _list(placement.get("constraints")),
        "max replicas per node": str(placement.get("max_replicas_per_node") or ""),
        "update order": str((deploy.get("update_config") or {}).get("order") or "stop-first"),
        "on failure": str((deploy.get("update_config") or {}).get("failure_action") or "pause"),
    }
    for kind in ("limits", "reservations"):
        amounts = resources.get(kind) or {}
        settings |= _resources(
            kind,
            cpus=amounts.get("cpus"),
            memory=amounts.get("memory"),
            pids=amounts.get("pids"),
        )
    for name, value in (definition.get("environment") or {}).items():
        # Compose escapes a dollar sign by a second one.
        settings[f"environment {name}"] = "" if value is None else str(value).replace("$$", "$")
    settings |= {f"secret {file}": name for file, name in definition["secrets"].items()}
    for mount in definition.get("volumes") or ():
        size = (mount.get("tmpfs") or {}).get("size") or ""
        settings[f"mount {mount['target']}"] = f"{mount['type']} {size}".strip()
    for port in definition.get("ports") or ():
        settings[f"port {port['target']}"] = (
            f"{port.get('published')} {port.get('mode') or 'ingress'}"
        )
    return {setting: value for setting, value in settings.items() if value}


def _settings_of_spec(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a service in the swarm, with the same names and texts."""
    task = spec["TaskTemplate"]
    container, placement = task["ContainerSpec"], task.get("Placement") or {}
    endpoint, update = spec.get("EndpointSpec") or {}, spec.get("UpdateConfig") or {}
    replicated = spec["Mode"].get("Replicated")
    settings = {
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
        amounts = resources.get(kind.capitalize()) or {}
        cpus = (amounts.get("NanoCPUs") or 0) / 1e9
        settings |= _resources(
            kind, cpus=cpus, memory=amounts.get("MemoryBytes"), pids=amounts.get("Pids")
        )
    for entry in container.get("Env") or ():
        name, _, value = entry.partition("=")
        settings[f"environment {name}"] = value
    settings |= {f"secret {file}": name for file, name in names_by_file(spec).items()}
    for mount in container.get("Mounts") or ():
        size = (mount.get("TmpfsOptions") or {}).get("SizeBytes") or ""
        settings[f"mount {mount['Target']}"] = f"{mount['Type']} {size}".strip()
    for port in endpoint.get("Ports") or ():
        mode = port.get("PublishMode") or "ingress"
        settings[f"port {port['TargetPort']}"] = f"{port.get('PublishedPort')} {mode}"
    return {setting: value for setting, value in settings.items() if value}


def _resources(kind: str, *, cpus: Any, memory: Any, pids: Any) -> dict[str, str]:
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
    """Return a duration such as `1m30s` in seconds, `90 s`; empty text without one."""
    parts = _DURATION.findall(str(text or ""))
    return f"{sum(float(n) * _NANOSECONDS[unit] for n, unit in parts) / 1e9:g} s" if parts else ""
