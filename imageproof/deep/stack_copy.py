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
from imageproof.project.settings_class import accepts_value, read_settings
from imageproof.redaction import is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

PROJECT_LABEL = "com.docker.compose.project"
CanaryValue = tuple[str, str]  # a canary, and the value of a variable, which contains it


@dataclass(frozen=True)
class StackCopy:
    """A copy of the stack. Its `engine` can start it."""

    engine: Engine
    project: str
    canaries: Mapping[str, Mapping[str, str]]  # by service and variable

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
            for name in self.engine.names_with_label(kind, f"{PROJECT_LABEL}={self.project}")
        ]


class CannotCopy(Exception):
    """A copy of this stack would share something with the original; the text says what."""


def make(
    contract: Contract, engine: Engine, folder: Path, changes: Mapping[str, Any] | None = None
) -> StackCopy:
    """Write the overlay file of a new copy.

    Args:
        contract: The project.
        engine: The engine of the original.
        folder: Folder for the overlay file.
        changes: Compose keys by service that replace the original's, to break the copy.

    Raises:
        CannotCopy: The copy would share a volume, network or folder with the original.
    """
    project = f"imageproof-trial-{secrets.token_hex(4)}"
    original = replace(engine, compose_files=(contract.compose_file,), project=project)
    model = original.compose_model(interpolate=True)
    _require_separable(model)
    canaries = _make_canaries(contract, model)
    overlay = folder / f"{project}.yaml"
    overlay.write_text(_overlay(project, model, canaries, changes or {}))
    return StackCopy(
        engine=replace(original, compose_files=(contract.compose_file, overlay)),
        project=project,
        canaries={
            service: {name: secret for name, (secret, _) in values.items()}
            for service, values in canaries.items()
        },
    )


def _overlay(
    project: str,
    model: Mapping[str, Any],
    canaries: Mapping[str, Mapping[str, CanaryValue]],
    changes: Mapping[str, Any],
) -> str:
    """Return the overlay file. `!reset` and `!override` are tags of compose files."""
    lines = ["services:"]
    for service, keys in model["services"].items():
        lines.append(f"  {json.dumps(service)}:")
        lines.append("    container_name: !reset null")
        if ports := keys.get("ports"):
            free_ports = [f"127.0.0.1::{port['target']}/{port['protocol']}" for port in ports]
            lines.append(f"    ports: !override {json.dumps(free_ports)}")
        if values := {name: value for name, (_, value) in canaries.get(service, {}).items()}:
            lines.append(f"    environment: {json.dumps(values)}")
        changed_keys = changes.get(service, {})
        lines += [f"    {key}: {json.dumps(value)}" for key, value in changed_keys.items()]
    for kind in ("volumes", "networks"):
        if declared := model.get(kind):
            lines.append(f"{kind}:")
            lines += [f"  {json.dumps(name)}: {{name: {project}_{name}}}" for name in declared]
    return "\n".join(lines) + "\n"


def _require_separable(model: Mapping[str, Any]) -> None:
    """Raise CannotCopy if a copy would share state with the original."""
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
    classes = {
        image.service: image.environment.settings
        for image in contract.images.values()
        if image.environment
    }
    canaries: dict[str, dict[str, CanaryValue]] = {}
    for service, keys in model["services"].items():
        class_ = classes.get(service)
        settings = read_settings(contract.root, class_) if class_ else {}
        for name in keys.get("environment") or ():
            setting = settings.get(name)
            # Without a setting the name decides: "a value" looks like no secret.
            if not (setting.secret if setting else is_secret(name, "a value")):
                continue
            value = canary.make()
            # If the settings reject the plain value, try an address with it as the password.
            for text in (value, f"https://user:{value}@canary.invalid/"):
                if (
                    class_ is None
                    or setting is None
                    or accepts_value(contract.root, class_, name, text)
                ):
                    canaries.setdefault(service, {})[name] = (value, text)
                    break
    return canaries
