"""What the stack's two files say of each service, in words that can be compared: compose.yaml, and
the file for a swarm, whose schema is another."""

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
FILLER = "filled-in"  # for what the file leaves open


@dataclass(frozen=True)
class ServiceSettings:
    """A service as one of the files has it. `secrets`: variables that it is given as files."""

    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)  # name: default
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StackFileFacts:
    """The services of both files, and the variables that their settings classes keep secret."""

    compose: Mapping[str, ServiceSettings]
    swarm: Mapping[str, ServiceSettings]
    secret: frozenset[str] = frozenset()


def read_stack_files(contract: Contract, engine: Engine) -> StackFileFacts | None:
    """Read both; None where the contract names no file for a swarm.

    Raises ConfigurationError where Compose refuses one, ContractError for a settings class that
    cannot be had.
    """
    if contract.stack_file is None:
        return None
    classes = [image.environment for image in contract.images.values() if image.environment]
    settings = [read_settings(contract.root, found.settings) for found in classes]
    return StackFileFacts(
        _described(engine.with_compose_file(contract.compose_file)),
        _described(_alone(engine, contract.stack_file)),
        frozenset(name for read in settings for name, v in read.items() if v.secret),
    )


def engine_for_stack(contract: Contract, engine: Engine, name: str) -> Engine:
    """The engine whose containers are the tasks of a swarm's stack on its node, and whose file is
    the one for a swarm. Raises UsageError where the contract names none."""
    if contract.stack_file is None:
        raise UsageError(
            f"looking at the stack {name}",
            "the contract names no file for a swarm",
            hint='stack = "…" in [tool.imageproof]',
        )
    return replace(_alone(engine, contract.stack_file, contract.root), swarm_stack=name)


def _alone(engine: Engine, file: Path, root: Path | None = None) -> Engine:
    """The engine with that file, and something for each variable that it requires; the others are
    those of `root`."""
    required = _REQUIRED.findall(file.read_text()) if file.exists() else []
    given = compose_variables(root) if root else {}
    filler = dict.fromkeys(required, FILLER)
    return replace(engine, compose_files=(file,), variables={**filler, **given})


def _described(engine: Engine) -> dict[str, ServiceSettings]:
    model = engine.compose_model(interpolate=True, defaults=True)
    written = engine.compose_model(interpolate=False).get("services") or {}
    return {
        name: ServiceSettings(
            {setting: value for setting, value in _settings(name, keys, model) if value},
            {n: variable.default for n, variable in read_service_environment(written[name]).items()},
            frozenset(map(_file, keys.get("secrets") or ())),
        )
        for name, keys in (model.get("services") or {}).items()
        if "provider" not in keys
    }


def _file(secret: Mapping[str, Any]) -> str:
    """The variable that a secret stands for: it is a file of that name."""
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
    yield "the limit of processors", f"{service.cpus:g}" if service.cpus else ""
    yield "the limit of processes", str(service.pids or "")
    options = " ".join(f"{key}={value}" for key, value in sorted(service.log_options.items()))
    yield "logging", f"{service.log_driver} {options}".strip()
    for mount in keys.get("volumes") or ():
        if mount.get("type") == "tmpfs":
            yield f"the mount {mount['target']}", _tmpfs((mount.get("tmpfs") or {}).get("size"))
    for mount in service.mounts:
        if mount.kind != "tmpfs":
            how = ", read-only" if mount.read_only else ""
            yield f"the mount {mount.target}", f"{mount.kind} {mount.source}{how}"
    for entry in service.tmpfs:
        path, _, said = entry.partition(":")
        sizes = dict(option.partition("=")[::2] for option in said.split(","))
        yield f"the mount {path}", _tmpfs(sizes.get("size"))
    for port in service.ports:
        yield f"port {port.target}", f"published as {port.published}"


def _tmpfs(size: Any) -> str:
    match = _BYTES.fullmatch(str(size or ""))
    bytes_ = int(match[1]) * _UNITS[match[2].lower()] if match else size
    return f"tmpfs of {bytes_} bytes" if bytes_ else "tmpfs"
