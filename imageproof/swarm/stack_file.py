"""The stack's file for a swarm: what it leaves open, and what is filled in at a deployment.

By convention, which plain `docker stack deploy` can follow as well: `image: ${NAME}` takes a
release's image by its digest, and a secret's `name: ${NAME}` the name of what is made of the
variable that is called as the secret is, in upper case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.environment import compose_variables
from imageproof.errors import ConfigurationError, UsageError
from imageproof.swarm.secrets import Secret, named

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.release.manifest import Release

_OPEN = re.compile(r"^\$\{(\w+)(?::?\?.*)?\}$", re.DOTALL)
DOING = "reading the stack's file"


@dataclass(frozen=True)
class StackFile:
    """The file with everything that it needs: `variables` fill it in."""

    path: Path
    stack: str
    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[Secret, ...]
    services: Mapping[str, Mapping[str, Any]]  # as Compose reads them, filled in


def fill(contract: Contract, engine: Engine, release: Release, stack: str) -> StackFile:
    """What a release makes of the file. Raises ConfigurationError where a service of it runs no
    image of the release by its digest, UsageError where the project has no such file."""
    if contract.stack_file is None:
        raise UsageError(DOING, "the contract names none", hint='stack = "…" in [tool.imageproof]')
    own = replace(engine, compose_files=(contract.stack_file,), project=stack)
    written = own.compose_model(interpolate=False)
    given = compose_variables(contract.root)
    variables = given | _images(contract, written, release)
    secrets = {}
    for key, secret in (written.get("secrets") or {}).items():
        name = _OPEN.match(str(secret.get("name") or ""))
        if name:
            secrets[name[1]] = named(stack, key, _value(contract.root, given, key.upper()))
    variables |= {name: secret.name for name, secret in secrets.items()}
    filled = replace(own, variables=variables).compose_model(interpolate=True)
    services = {
        name: {**keys, "secrets": _secrets(keys, filled)}
        for name, keys in (filled.get("services") or {}).items()
    }
    _pinned(contract, services)
    unique = {secret.name: secret for secret in secrets.values()}
    return StackFile(contract.stack_file, stack, variables, tuple(unique.values()), services)


def _value(root: Path, given: Mapping[str, str], name: str) -> str:
    """A secret: the variable NAME, or what the file holds that NAME_FILE names; else empty."""
    if given.get(name) or not given.get(f"{name}_FILE"):
        return given.get(name, "")
    try:
        return (root / given[f"{name}_FILE"]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"reading the secret {name}", f"{name}_FILE: {reason}") from None


def _images(contract: Contract, written: Mapping[str, Any], release: Release) -> dict[str, str]:
    """The variable of each service's image, with that image of the release."""
    by_service = {image.service: name for name, image in contract.images.items()}
    found = {}
    for service, keys in (written.get("services") or {}).items():
        name = _OPEN.match(str(keys.get("image") or ""))
        if name and service in by_service:
            image = by_service[service]
            if image not in release.images:
                raise ConfigurationError(
                    "reading the release",
                    f"it has no image {image!r}, which {contract.stack} runs",
                    hint=f"its images are: {', '.join(release.images)}; `./inv push` makes one",
                )
            found[name[1]] = release.images[image].pinned
    return found


def _secrets(keys: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    """A service's secrets: the name of the file in /run/secrets, and that in the swarm."""
    found = {}
    for given in keys.get("secrets") or ():
        file = str(given.get("target") or given["source"]).rpartition("/")[2]
        found[file] = str(model["secrets"][given["source"]].get("name") or given["source"])
    return found


def _pinned(contract: Contract, services: Mapping[str, Mapping[str, Any]]) -> None:
    for name, keys in services.items():
        if "@sha256:" not in str(keys.get("image") or ""):
            raise ConfigurationError(
                DOING,
                f"{name} runs {keys.get('image') or 'no image'}, which is no digest",
                hint=f"in {contract.stack}: `image: ${{NAME:?}}` for an image of the contract, "
                "NAME@sha256:… for another's",
            )
