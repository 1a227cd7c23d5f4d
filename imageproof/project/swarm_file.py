"""Facts of the compose file and the swarm's stack file, as settings that can be compared.

The two files may write one setting in different ways, such as `mem_limit` and `deploy.resources`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imageproof.docker.environment import compose_variables
from imageproof.documents import read_project_text
from imageproof.errors import UsageError
from imageproof.project.compose_file import read_service, services_with_containers
from imageproof.project.env_vars import read_service_environment
from imageproof.project.settings_class import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

FILLER = "filled-in"  # value of each variable that the stack file requires
_REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):?\?")  # ${NAME:?why}
_SIZE = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)  # as Docker writes sizes
_UNIT_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of a service in one of the files, as text.

    `environment`: defaults by variable. `secrets`: variables that are passed as files.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StackFileFacts:
    """Services of both files, and the secret variables of the contract's settings classes."""

    compose: Mapping[str, ServiceSettings]
    swarm: Mapping[str, ServiceSettings]
    secret_variables: frozenset[str] = frozenset()


def read_stack_files(contract: Contract, engine: Engine) -> StackFileFacts | None:
    """Read the compose file and the stack file; return None if the contract names no stack file.

    Raises:
        ConfigurationError: Compose rejects a file.
        ContractError: A settings class cannot be imported.
    """
    if contract.stack_file is None:
        return None
    class_paths = [i.environment.settings for i in contract.images.values() if i.environment]
    return StackFileFacts(
        compose=_read_services(engine.with_compose_file(contract.compose_file)),
        swarm=_read_services(engine_with_stack_file(engine, contract.stack_file)),
        secret_variables=frozenset(
            variable.name
            for class_path in class_paths
            for variable in read_settings(contract.root, class_path).values()
            if variable.secret
        ),
    )


def engine_for_stack(contract: Contract, engine: Engine, name: str) -> Engine:
    """Return an engine that uses the stack file and inspects the tasks of the stack `name`.

    Raises:
        UsageError: The contract names no stack file.
    """
    if contract.stack_file is None:
        raise UsageError(
            f"inspecting the stack {name}",
            "the contract names no stack file for a swarm",
            hint='add `stack = "…"` to [tool.imageproof]',
        )
    variables = compose_variables(contract.root)
    engine = engine_with_stack_file(engine, contract.stack_file, variables)
    return replace(engine, swarm_stack=name)


def engine_with_stack_file(
    engine: Engine, file: Path, variables: Mapping[str, str] | None = None
) -> Engine:
    """Return the engine with this file only, and a filler for each variable that it requires."""
    required = _REQUIRED_VARIABLE.findall(read_project_text(file)) if file.exists() else []
    fillers = dict.fromkeys(required, FILLER)
    return replace(engine, compose_files=(file,), variables={**fillers, **(variables or {})})


def _read_services(engine: Engine) -> dict[str, ServiceSettings]:
    model = engine.compose_model(interpolate=True, defaults=True)
    uninterpolated = engine.compose_model(interpolate=False).get("services") or {}
    services = {}
    for name, keys in services_with_containers(model).items():
        variables = read_service_environment(uninterpolated[name]).values()
        services[name] = ServiceSettings(
            {setting: value for setting, value in _settings(name, keys, model) if value},
            {variable.name: variable.default for variable in variables},
            frozenset(map(_secret_variable, keys.get("secrets") or ())),
        )
    return services


def _secret_variable(secret: Mapping[str, Any]) -> str:
    """Return the variable that a secret replaces: the name of its file in upper case."""
    return str(secret.get("target") or secret["source"]).rpartition("/")[2].upper()


def _settings(
    name: str, keys: Mapping[str, Any], model: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield each setting's name, as a finding shows it, and its value; "" for a default."""
    service = read_service(name, keys, model)
    yield "init", "true" if keys.get("init") else ""
    yield "read_only", "true" if service.read_only else ""
    yield "user", service.user
    for key in ("cap_drop", "cap_add"):
        yield key, ", ".join(sorted(getattr(service, key)))
    for key in ("command", "entrypoint", "healthcheck"):
        yield key, json.dumps(keys[key], sort_keys=True) if keys.get(key) else ""
    yield "stop_grace_period", str(keys.get("stop_grace_period") or "")
    yield "the memory limit", str(service.memory or "")
    yield "the CPU limit", f"{service.cpus:g}" if service.cpus else ""
    yield "the process limit", str(service.pids or "")
    options = " ".join(f"{key}={value}" for key, value in sorted(service.log_options.items()))
    yield "logging", f"{service.log_driver} {options}".strip()
    for mount in keys.get("volumes") or ():
        if mount.get("type") == "tmpfs":
            yield (
                f"the mount {mount['target']}",
                _describe_tmpfs((mount.get("tmpfs") or {}).get("size")),
            )
    for mount in service.mounts:
        if mount.kind != "tmpfs":
            suffix = ", read-only" if mount.read_only else ""
            yield f"the mount {mount.target}", f"{mount.kind} {mount.source}{suffix}"
    for entry in service.tmpfs:
        path, _, text = entry.partition(":")
        tmpfs_options = dict(option.partition("=")[::2] for option in text.split(","))
        yield f"the mount {path}", _describe_tmpfs(tmpfs_options.get("size"))
    for port in service.ports:
        yield f"port {port.target}", f"published as {port.published}"


def _describe_tmpfs(size: Any) -> str:
    match = _SIZE.fullmatch(str(size or ""))
    byte_count = int(match[1]) * _UNIT_BYTES[match[2].lower()] if match else size
    return f"tmpfs of {byte_count} bytes" if byte_count else "tmpfs"
