"""Settings of a service's specification as text, with the names of the stack file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from imageproof.swarm.state import release_settings

_NAMES = {
    "TaskTemplate.ContainerSpec.Image": "image",
    "TaskTemplate.ContainerSpec.Command": "entrypoint",
    "TaskTemplate.ContainerSpec.Args": "command",
    "TaskTemplate.ContainerSpec.Dir": "working_dir",
    "TaskTemplate.ContainerSpec.ReadOnly": "read_only",
    "TaskTemplate.ContainerSpec.CapabilityDrop": "cap_drop",
    "TaskTemplate.ContainerSpec.CapabilityAdd": "cap_add",
    "TaskTemplate.ContainerSpec.StopGracePeriod": "stop_grace_period",
    "TaskTemplate.Placement.Constraints": "constraints",
    "TaskTemplate.Placement.MaxReplicas": "max replicas per node",
    "Mode.Replicated.Replicas": "replicas",
    "EndpointSpec.Mode": "endpoint",
    "UpdateConfig.Order": "update order",
    "UpdateConfig.FailureAction": "on failure",
    **{
        f"TaskTemplate.Resources.{kind}.{key}": f"{kind.lower()} {name}"
        for kind in ("Limits", "Reservations")
        for key, name in (("NanoCPUs", "cpus"), ("MemoryBytes", "memory"), ("Pids", "pids"))
    },
}
EMPTY = '""'  # shown for a value that is set and empty
DEFAULT_FILE_MODE = 0o444  # of secrets and configs
_TABLES = {  # their keys are the user's
    "Labels": "label",
    "TaskTemplate.ContainerSpec.Labels": "container label",
    "TaskTemplate.ContainerSpec.Sysctls": "sysctl",
    "TaskTemplate.LogDriver.Options": "log option",
}
# Any other path is shortened to lower-case words: `UpdateConfig.Monitor` is "update monitor".
_SHORTENED = (
    (re.compile(r"^TaskTemplate\.(?:ContainerSpec\.)?"), ""),
    (re.compile(r"^(Update|Rollback)Config"), r"\1"),
)
_IN_NANOSECONDS = re.compile(r"(?:GracePeriod|Delay|Monitor|Window|Interval|Timeout|StartPeriod)$")
_STACK_LABEL = re.compile(r"(?:^|\.)Labels\.com\.docker\.stack\.")  # added by the docker program
# What the engine adds to a specification, or assumes where one says nothing.
_DEFAULTS = {
    "EndpointSpec.Mode": "vip",
    "TaskTemplate.ContainerSpec.Isolation": "default",
    "TaskTemplate.RestartPolicy.Condition": "any",
    "TaskTemplate.Runtime": "container",
}
_UPDATE_DEFAULTS = {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first"}


def settings(spec: Mapping[str, Any], network_names: Mapping[str, str]) -> dict[str, str]:
    """Return a service's settings by name, without those that have their defaults.

    Args:
        spec: The specification, as the engine stores it or as the docker program sends it.
        network_names: The networks' names by id: only the engine writes ids.
    """
    spec = _with_defaults(release_settings(spec))
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    found: dict[str, str] = {}
    for kind in ("Secret", "Config"):
        for item in container.get(f"{kind}s") or ():
            if file := item.get("File"):
                found[f"{kind.lower()} {file['Name']}"] = _describe_file(item[f"{kind}Name"], file)
    for entry in container.get("Env") or ():
        name, _, value = entry.partition("=")
        found[f"environment {name}"] = value or EMPTY
    for mount in container.get("Mounts") or ():
        found[f"mount {mount['Target']}"] = _describe_mount(mount)
    for port in (spec.get("EndpointSpec") or {}).get("Ports") or ():
        mode = port.get("PublishMode") or "ingress"
        protocol = "" if port.get("Protocol") in (None, "tcp") else f"/{port['Protocol']}"
        setting, published = f"port {port['TargetPort']}{protocol}", port.get("PublishedPort")
        # A port of the container may be published several times.
        others = [found[setting]] if setting in found else []
        found[setting] = ", ".join([*others, f"{published} {mode}"])
    for network in task.get("Networks") or ():
        name = network_names.get(network["Target"], network["Target"])
        options = [f"{k}={v}" for k, v in sorted((network.get("DriverOpts") or {}).items())]
        words = [*sorted(network.get("Aliases") or ()), *options]
        found[f"network {name}"] = ", ".join(words) or "yes"
    rest = {
        **{key: value for key, value in spec.items() if key != "Name"},
        "TaskTemplate": {
            **{key: value for key, value in task.items() if key != "Networks"},
            "ContainerSpec": {
                key: value
                for key, value in container.items()
                if key not in ("Secrets", "Configs", "Env", "Mounts")
            },
        },
        "EndpointSpec": {"Mode": (spec.get("EndpointSpec") or {}).get("Mode")},
    }
    for path, value in _flatten("", rest):
        if not _STACK_LABEL.search(path) and _DEFAULTS.get(path) != value:
            found[_name(path)] = _text(path, value)
    return {setting: value for setting, value in found.items() if value}


def _with_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with the defaults of numbers for which 0 means something else.

    These numbers become text, since `_flatten` leaves out 0.
    """
    mode = spec.get("Mode") or {"Replicated": {}}
    if "Replicated" in mode:
        replicas = _present(mode["Replicated"]).get("Replicas", 1)
        mode = {"Replicated": {"Replicas": str(replicas)}}
    elif "Global" in mode:
        mode = {"Global": True}
    configs = {}
    for key in ("UpdateConfig", "RollbackConfig"):
        config = {**_UPDATE_DEFAULTS, **_present(spec.get(key))}
        configs[key] = {**config, "Parallelism": str(config["Parallelism"])}
    return {**spec, "Mode": mode, **configs}


def _present(table: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (table or {}).items() if value not in (None, "")}


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each value with its path, without empty ones, which the engine leaves out."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), item)
    elif value or (value == "" and prefix.startswith(tuple(f"{table}." for table in _TABLES))):
        yield prefix, value


def _name(path: str) -> str:
    if path in _NAMES:
        return _NAMES[path]
    for table, kind in _TABLES.items():
        if path.startswith(f"{table}."):
            return f"{kind} {path.removeprefix(f'{table}.')}"
    for pattern, replacement in _SHORTENED:
        path = pattern.sub(replacement, path)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path).replace(".", " ").lower()


def _text(path: str, value: Any) -> str:
    if path.endswith("NanoCPUs"):
        return f"{value / 1e9:g}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value / 1e9:g} s" if _IN_NANOSECONDS.search(path) else str(value)
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        # The order of words counts in a command, but not in a set of capabilities.
        is_command = path.endswith((".Command", ".Args", ".Test"))
        return json.dumps(value) if is_command else ", ".join(sorted(value))
    return (value or EMPTY) if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _describe_file(name: str, file: Mapping[str, Any]) -> str:
    """Return the name of a secret or config, and its file's owner and mode if they are unusual."""
    details = {key: file[key] for key in ("UID", "GID") if file.get(key) not in (None, "", "0")}
    if file.get("Mode") not in (None, DEFAULT_FILE_MODE):
        details["mode"] = f"{file['Mode']:04o}"
    return " ".join([name, *(f"{key.lower()}={value}" for key, value in details.items())])


def _describe_mount(mount: Mapping[str, Any]) -> str:
    rest = dict(_flatten("", {k: v for k, v in mount.items() if k not in ("Type", "Target")}))
    return " ".join([str(mount.get("Type")), *(str(value) for value in rest.values())])
