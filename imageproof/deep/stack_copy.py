"""A second copy of the stack, under a name of its own: to be tried, and to be removed.

It is the very compose file with the very images. What would make it touch the first one is laid
over: published ports become free ones, fixed names of containers, volumes and networks its own.
Secrets become canaries. Nobody's running stack, and none of its data, is touched.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.deep import canary
from imageproof.project.env_vars import accepts, read_settings
from imageproof.redaction import is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

LABEL = "com.docker.compose.project"
Given = tuple[str, str]  # a canary, and the text around it that a variable is given


@dataclass(frozen=True)
class Twin:
    """A copy that can be started: its engine, and the canaries by service and variable."""

    engine: Engine
    project: str
    canaries: Mapping[str, Mapping[str, str]]  # by service and variable; part of what is given

    def leftovers(self) -> list[str]:
        """What of it is still in the engine: `container NAME`, `network NAME`, `volume NAME`."""
        return [f"{kind} {name}" for kind, name in self._left()]

    def clear(self) -> None:
        """Remove what is left, whatever left it."""
        for kind, name in self._left():
            self.engine.remove(kind, [name])

    def _left(self) -> list[tuple[str, str]]:
        return [
            (kind, name)
            for kind in ("container", "network", "volume")
            for name in self.engine.labelled(kind, f"{LABEL}={self.project}")
        ]


class CannotTry(Exception):
    """A copy of this stack would touch what is not its own; the text says what."""


def make(
    contract: Contract, engine: Engine, folder: Path, changes: Mapping[str, Any] | None = None
) -> Twin:
    """Write what is laid over into `folder`. `changes` are keys of services, to break them.

    Raises CannotTry where the copy could not be kept apart.
    """
    project = f"imageproof-trial-{secrets.token_hex(4)}"
    named = replace(engine, compose_files=(contract.compose_file,), project=project)
    model = named.compose_model(interpolate=True)
    _kept_apart(model)
    canaries = _canaries(contract, model)
    lines = ["services:"]
    for service, keys in model["services"].items():
        lines.append(f"  {json.dumps(service)}:")
        lines.append("    container_name: !reset null")
        if ports := keys.get("ports"):
            free = [f"127.0.0.1::{port['target']}/{port['protocol']}" for port in ports]
            lines.append(f"    ports: !override {json.dumps(free)}")
        if given := {name: text for name, (_, text) in canaries.get(service, {}).items()}:
            lines.append(f"    environment: {json.dumps(given)}")
        changed = (changes or {}).get(service, {})
        lines += [f"    {key}: {json.dumps(value)}" for key, value in changed.items()]
    for kind in ("volumes", "networks"):
        if declared := model.get(kind):
            lines.append(f"{kind}:")
            lines += [f"  {json.dumps(n)}: {{name: {project}_{n}}}" for n in declared]
    path = folder / f"{project}.yaml"
    path.write_text("\n".join(lines) + "\n")
    values = {s: {n: value for n, (value, _) in given.items()} for s, given in canaries.items()}
    return Twin(replace(named, compose_files=(contract.compose_file, path)), project, values)


def _kept_apart(model: Mapping[str, Any]) -> None:
    for kind in ("volumes", "networks"):
        for name, keys in (model.get(kind) or {}).items():
            if (keys or {}).get("external"):
                raise CannotTry(f"the stack uses {kind[:-1]} {name}, which is external")
    for service, keys in model["services"].items():
        for mount in keys.get("volumes") or ():
            if mount["type"] == "bind" and not mount.get("read_only"):
                raise CannotTry(f"{service} may write to {mount['source']} of this machine")
        if keys.get("network_mode") == "host":
            raise CannotTry(f"{service} is in the network of this machine")


def _canaries(contract: Contract, model: Mapping[str, Any]) -> dict[str, dict[str, Given]]:
    """By service, a canary for each variable that is a secret and takes one."""
    places = {i.service: i.environment.settings for i in contract.images.values() if i.environment}
    found: dict[str, dict[str, Given]] = {}
    for service, keys in model["services"].items():
        place = places.get(service)
        known = read_settings(contract.root, place) if place else {}
        for name in keys.get("environment") or ():
            secret = known[name].secret if name in known else is_secret(name, "a value")
            value = canary.make()
            # A secret may be an address with a password in it: such a one is given then.
            for text in (value, f"https://user:{value}@canary.invalid/") if secret else ():
                if place is None or name not in known or accepts(contract.root, place, name, text):
                    found.setdefault(service, {})[name] = (value, text)
                    break
    return found
