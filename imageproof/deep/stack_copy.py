"""A copy of the stack, under a project name of its own, that can be tried and removed.

The copy uses the same compose file and images. An overlay file separates it from the original:
published ports become free ones, containers, volumes and networks get names of their own, and
secrets become canaries. The running stack and its data are not touched.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.deep import canary
from imageproof.project.env_vars import accepts_value, read_settings
from imageproof.redaction import is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

LABEL = "com.docker.compose.project"
CanaryValue = tuple[str, str]  # a canary, and the variable's value that contains it


@dataclass(frozen=True)
class StackCopy:
    """A copy that can be started with `engine`."""

    engine: Engine
    project: str
    canaries: Mapping[str, Mapping[str, str]]  # by service and variable; part of its value

    def leftovers(self) -> list[str]:
        """List what is still in the engine: `container NAME`, `network NAME`, `volume NAME`."""
        return [f"{kind} {name}" for kind, name in self._objects()]

    def clear(self) -> None:
        """Remove what is still in the engine."""
        for kind, name in self._objects():
            self.engine.remove(kind, [name])

    def _objects(self) -> list[tuple[str, str]]:
        return [
            (kind, name)
            for kind in ("container", "network", "volume")
            for name in self.engine.names_with_label(kind, f"{LABEL}={self.project}")
        ]


class CannotCopy(Exception):
    """A copy of this stack would share something with the original; the text says what."""


def make(
    contract: Contract, engine: Engine, folder: Path, changes: Mapping[str, Any] | None = None
) -> StackCopy:
    """Write the overlay file of a new copy into `folder`.

    `changes` are compose keys by service that replace the original's, to break the copy.

    Raises:
        CannotCopy: The copy would share a volume, network or folder with the original.
    """
    project = f"imageproof-trial-{secrets.token_hex(4)}"
    base = replace(engine, compose_files=(contract.compose_file,), project=project)
    model = base.compose_model(interpolate=True)
    _require_separable(model)
    canaries = _make_canaries(contract, model)
    path = folder / f"{project}.yaml"
    path.write_text(_overlay(project, model, canaries, changes or {}))
    return StackCopy(
        engine=replace(base, compose_files=(contract.compose_file, path)),
        project=project,
        canaries={
            service: {variable: value for variable, (value, _) in variables.items()}
            for service, variables in canaries.items()
        },
    )


def _overlay(
    project: str,
    model: Mapping[str, Any],
    canaries: Mapping[str, Mapping[str, CanaryValue]],
    changes: Mapping[str, Any],
) -> str:
    lines = ["services:"]
    for service, keys in model["services"].items():
        lines.append(f"  {json.dumps(service)}:")
        lines.append("    container_name: !reset null")
        if ports := keys.get("ports"):
            free = [f"127.0.0.1::{port['target']}/{port['protocol']}" for port in ports]
            lines.append(f"    ports: !override {json.dumps(free)}")
        if variables := {name: text for name, (_, text) in canaries.get(service, {}).items()}:
            lines.append(f"    environment: {json.dumps(variables)}")
        changed = changes.get(service, {})
        lines += [f"    {key}: {json.dumps(value)}" for key, value in changed.items()]
    for kind in ("volumes", "networks"):
        if declared := model.get(kind):
            lines.append(f"{kind}:")
            lines += [f"  {json.dumps(n)}: {{name: {project}_{n}}}" for n in declared]
    return "\n".join(lines) + "\n"


def _require_separable(model: Mapping[str, Any]) -> None:
    for kind in ("volumes", "networks"):
        for name, keys in (model.get(kind) or {}).items():
            if (keys or {}).get("external"):
                raise CannotCopy(f"the stack uses the external {kind[:-1]} {name}")
    for service, keys in model["services"].items():
        for mount in keys.get("volumes") or ():
            if mount["type"] == "bind" and not mount.get("read_only"):
                raise CannotCopy(f"{service} may write to {mount['source']} of this host")
        if keys.get("network_mode") == "host":
            raise CannotCopy(f"{service} uses the network of this host")


def _make_canaries(
    contract: Contract, model: Mapping[str, Any]
) -> dict[str, dict[str, CanaryValue]]:
    """Return a canary for each secret variable that accepts one, by service and variable."""
    classes = {i.service: i.environment.settings for i in contract.images.values() if i.environment}
    canaries: dict[str, dict[str, CanaryValue]] = {}
    for service, keys in model["services"].items():
        class_ = classes.get(service)
        settings = read_settings(contract.root, class_) if class_ else {}
        for name in keys.get("environment") or ():
            secret = settings[name].secret if name in settings else is_secret(name, "a value")
            value = canary.make()
            # If the plain value is refused, try an address with the canary as its password.
            for text in (value, f"https://user:{value}@canary.invalid/") if secret else ():
                if (
                    class_ is None
                    or name not in settings
                    or accepts_value(contract.root, class_, name, text)
                ):
                    canaries.setdefault(service, {})[name] = (value, text)
                    break
    return canaries
