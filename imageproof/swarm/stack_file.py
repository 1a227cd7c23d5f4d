"""Stack file for Docker Swarm, filled in with the digests of a release and the names of secrets.

Two conventions, which also work with plain `docker stack deploy`:

- `image: ${NAME}` takes an image of the release, by digest.
- A secret with `name: ${NAME}` takes its value from the variable named like the secret, in upper
  case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.environment import compose_variables
from imageproof.errors import ConfigurationError, UsageError
from imageproof.swarm.secrets import Secret, make_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.release.manifest import Release

_VARIABLE = re.compile(r"^\$\{(\w+)(?::?\?.*)?\}$", re.DOTALL)  # ${NAME} or ${NAME:?message}
ACTION = "reading the stack file"


@dataclass(frozen=True)
class StackFile:
    """Stack file with the variables and secrets that it needs."""

    path: Path
    stack: str
    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[Secret, ...]
    services: Mapping[str, Mapping[str, Any]]  # as Compose reads them, with variables filled in


def fill(contract: Contract, engine: Engine, release: Release, stack: str) -> StackFile:
    """Fill the contract's stack file in with a release.

    Raises:
        UsageError: The contract names no stack file.
        ConfigurationError: The release lacks an image, a service has no digest, or the file of a
            secret cannot be read.
    """
    if contract.stack_file is None:
        hint = 'add stack = "FILE" to [tool.imageproof]'
        raise UsageError(ACTION, "the contract names no stack file", hint=hint)
    stack_engine = replace(engine, compose_files=(contract.stack_file,), project=stack)
    written = stack_engine.compose_model(interpolate=False)
    environment = compose_variables(contract.root)
    variables = environment | _image_variables(contract, written, release)
    secrets = {}
    for key, secret in (written.get("secrets") or {}).items():
        variable = _VARIABLE.match(str(secret.get("name") or ""))
        if variable:
            value = _secret_value(contract.root, environment, key.upper())
            secrets[variable[1]] = make_secret(stack, key, value)
    variables |= {name: secret.name for name, secret in secrets.items()}
    filled = replace(stack_engine, variables=variables).compose_model(interpolate=True)
    services = {
        name: {**keys, "secrets": _secret_names(keys, filled)}
        for name, keys in (filled.get("services") or {}).items()
    }
    _require_digests(contract, services)
    unique = {secret.name: secret for secret in secrets.values()}
    return StackFile(contract.stack_file, stack, variables, tuple(unique.values()), services)


def _secret_value(root: Path, environment: Mapping[str, str], name: str) -> str:
    """Return the variable NAME, or the content of the file that NAME_FILE names, or nothing."""
    if environment.get(name) or not environment.get(f"{name}_FILE"):
        return environment.get(name, "")
    try:
        return (root / environment[f"{name}_FILE"]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "the file is not text"
        raise ConfigurationError(f"reading the secret {name}", f"{name}_FILE: {reason}") from None


def _image_variables(
    contract: Contract, written: Mapping[str, Any], release: Release
) -> dict[str, str]:
    """Return the variable of each service's image, with the pinned image of the release."""
    by_service = {image.service: name for name, image in contract.images.items()}
    variables = {}
    for service, keys in (written.get("services") or {}).items():
        variable = _VARIABLE.match(str(keys.get("image") or ""))
        if variable and service in by_service:
            image = by_service[service]
            if image not in release.images:
                raise ConfigurationError(
                    "reading the release",
                    f"it has no image {image!r}, but {contract.stack} runs one",
                    hint=f"it has: {', '.join(release.images)}; `./inv push` makes a new release",
                )
            variables[variable[1]] = release.images[image].pinned
    return variables


def _secret_names(keys: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a service's secrets in the swarm by their files in /run/secrets."""
    names = {}
    for secret in keys.get("secrets") or ():
        file = str(secret.get("target") or secret["source"]).rpartition("/")[2]
        names[file] = str(model["secrets"][secret["source"]].get("name") or secret["source"])
    return names


def _require_digests(contract: Contract, services: Mapping[str, Mapping[str, Any]]) -> None:
    for name, keys in services.items():
        if "@sha256:" not in str(keys.get("image") or ""):
            raise ConfigurationError(
                ACTION,
                f"{name} has the image {keys.get('image') or '(none)'}, without a digest",
                hint=f"in {contract.stack}, write `image: ${{NAME:?}}` for an image of the "
                "contract, NAME@sha256:… for any other",
            )
