"""Facts of the compose file and the swarm's stack file, as settings that can be compared.

The two files have different schemas, such as `mem_limit` and `deploy.resources`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imageproof.docker.environment import compose_variables
from imageproof.errors import UsageError
from imageproof.project.compose_file import read_service
from imageproof.project.env_vars import read_service_environment, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

_REQUIRED = re.compile(r"\$\{(\w+):?\?")  # ${NAME:?why}
_BYTES = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)  # as Docker writes sizes
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
FILLER = "filled-in"  # value of required variables


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of a service in one of the files. `secrets`: variables passed as files."""

    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)  # name: default
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StackFileFacts:
    """Services of both files, and the secret variables of their settings classes."""

    compose: Mapping[str, ServiceSettings]
    swarm: Mapping[str, ServiceSettings]
    secret: frozenset[str] = frozenset()


def read_stack_files(contract: Contract, engine: Engine) -> StackFileFacts | None:
    """Read both files; return None if the contract names no stack file.

    Raises:
        ConfigurationError: Compose rejects a file.
        ContractError: A settings class cannot be imported.
    """
    if contract.stack_file is None:
        return None
    classes = [image.environment for image in contract.images.values() if image.environment]
    settings = [read_settings(contract.root, class_.settings) for class_ in classes]
    return StackFileFacts(
        _read_services(engine.with_compose_file(contract.compose_file)),
        _read_services(_engine_with_stack_file(engine, contract.stack_file)),
        frozenset(name for variables in settings for name, v in variables.items() if v.secret),
    )


def engine_for_stack(contract: Contract, engine: Engine, name: str) -> Engine:
    """Return an engine that uses the stack file and sees the tasks of the swarm's stack `name`.

    Raises:
        UsageError: The contract names no stack file.
    """
    if contract.stack_file is None:
        raise UsageError(
            f"inspecting the stack {name}",
            "the contract names no stack file for a swarm",
            hint='add `stack = "…"` to [tool.imageproof]',
        )
    engine = _engine_with_stack_file(engine, contract.stack_file, contract.root)
    return replace(engine, swarm_stack=name)


def _engine_with_stack_file(engine: Engine, file: Path, root: Path | None = None) -> Engine:
    """Return the engine with only that file, the variables of `root`, and a filler for each
    variable that the file requires."""
    required = _REQUIRED.findall(file.read_text()) if file.exists() else []
    filler = dict.fromkeys(required, FILLER)
    own = compose_variables(root) if root else {}
    return replace(engine, compose_files=(file,), variables={**filler, **own})


def _read_services(engine: Engine) -> dict[str, ServiceSettings]:
    model = engine.compose_model(interpolate=True, defaults=True)
    uninterpolated = engine.compose_model(interpolate=False).get("services") or {}
    services = {}
    for name, keys in (model.get("services") or {}).items():
        if "provider" in keys:
            continue
        variables = read_service_environment(uninterpolated[name]).values()
        services[name] = ServiceSettings(
            {setting: value for setting, value in _settings(name, keys, model) if value},
            {variable.name: variable.default for variable in variables},
            frozenset(map(_secret_variable, keys.get("secrets") or ())),
        )
    return services


def _secret_variable(secret: Mapping[str, Any]) -> str:
    """Return the variable that a secret stands for: the name of its file in upper case."""
    return str(secret.get("target") or secret["source"]).rpartition("/")[2].upper()


def _settings(
    name: str, keys: Mapping[str, Any], model: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
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
            yield f"the mount {mount['target']}", _tmpfs((mount.get("tmpfs") or {}).get("size"))
    for mount in service.mounts:
        if mount.kind != "tmpfs":
            suffix = ", read-only" if mount.read_only else ""
            yield f"the mount {mount.target}", f"{mount.kind} {mount.source}{suffix}"
    for entry in service.tmpfs:
        path, _, text = entry.partition(":")
        tmpfs_options = dict(option.partition("=")[::2] for option in text.split(","))
        yield f"the mount {path}", _tmpfs(tmpfs_options.get("size"))
    for port in service.ports:
        yield f"port {port.target}", f"published as {port.published}"


def _tmpfs(size: Any) -> str:
    match = _BYTES.fullmatch(str(size or ""))
    bytes_ = int(match[1]) * _UNITS[match[2].lower()] if match else size
    return f"tmpfs of {bytes_} bytes" if bytes_ else "tmpfs"
