"""Stack file for Docker Swarm, filled in with the digests of a release and the names of secrets.

Two conventions, which also work with plain `docker stack deploy`:

- `image: ${NAME}` takes an image of the release, by digest.
- A secret with `name: ${NAME}` takes its value from the variable named like the secret, in upper
  case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    """Stack file with its variables and secrets."""

    path: Path
    stack: str
    variables: Mapping[str, str] = field(repr=False)
    secrets: Sequence[Secret]
    revision: str = ""  # commit of the release


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
    template = stack_engine.compose_model(interpolate=False)
    environment = compose_variables(contract.root)
    variables = environment | _image_variables(contract, template, release)
    secrets = {}  # by the variable of the name
    for key, definition in (template.get("secrets") or {}).items():
        variable = _VARIABLE.match(str(definition.get("name") or ""))
        if variable:
            value = _secret_value(contract.root, environment, key.upper())
            secrets[variable[1]] = make_secret(stack, key, value)
    variables |= {variable: secret.name for variable, secret in secrets.items()}
    filled = replace(stack_engine, variables=variables).compose_model(interpolate=True)
    _require_digests(contract, filled.get("services") or {})
    return StackFile(
        path=contract.stack_file,
        stack=stack,
        variables=variables,
        secrets=tuple(secrets.values()),
        revision=release.revision,
    )


def _secret_value(root: Path, environment: Mapping[str, str], name: str) -> str:
    """Return the variable NAME, or the content of the file NAME_FILE; empty without both."""
    if environment.get(name) or not environment.get(f"{name}_FILE"):
        return environment.get(name, "")
    try:
        return (root / environment[f"{name}_FILE"]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "the file is not text"
        raise ConfigurationError(
            f"reading the secret {name}",
            f"{name}_FILE: {reason}",
            hint=f"set {name}_FILE to a readable file, or {name} to the value",
        ) from None


def _image_variables(
    contract: Contract, template: Mapping[str, Any], release: Release
) -> dict[str, str]:
    """Return the pinned images of the release by the variables that stand for them."""
    image_of_service = {image.service: name for name, image in contract.images.items()}
    variables = {}
    for service, definition in (template.get("services") or {}).items():
        variable = _VARIABLE.match(str(definition.get("image") or ""))
        if variable and service in image_of_service:
            image = image_of_service[service]
            if image not in release.images:
                raise ConfigurationError(
                    "reading the release",
                    f"it has no image {image!r}, but {contract.stack} runs one",
                    hint=f"it has: {', '.join(release.images)}; `./inv push` makes a new release",
                )
            variables[variable[1]] = release.images[image].pinned
    return variables


def _require_digests(contract: Contract, services: Mapping[str, Mapping[str, Any]]) -> None:
    for name, definition in services.items():
        image = str(definition.get("image") or "")
        if "@sha256:" not in image:
            raise ConfigurationError(
                ACTION,
                f"{name} has the image {image or '(none)'}, without a digest",
                hint=f"in {contract.stack}, write `image: ${{NAME:?}}` for an image of the "
                "contract, NAME@sha256:… for any other",
            )
