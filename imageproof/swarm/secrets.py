"""Docker secrets of a stack.

A secret cannot be changed, so its name contains a digest of its value. A new value is a new secret,
and its services are updated one task after the other, as for a new image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.swarm.state import NAMESPACE

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.swarm.history import History
    from imageproof.swarm.state import Service

MAX_NAME_LENGTH = 64  # swarmkit, secret names
DIGEST_BYTES = 6
UNSET = "\n"  # Swarm refuses an empty secret; the services treat white space as unset


@dataclass(frozen=True)
class Secret:
    """A secret's name in the swarm, and its value, which is never printed."""

    name: str
    value: str = field(repr=False)


def make_secret(stack: str, key: str, value: str) -> Secret:
    """Return the secret for a value.

    Names are public, and short values could be guessed from a fast digest: hence scrypt (RFC 7914).
    """
    salt = f"{stack}/{key}".encode()
    digest = hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=DIGEST_BYTES).hex()
    prefix_length = MAX_NAME_LENGTH - len(digest) - 1
    return Secret(f"{f'{stack}_{key}'[:prefix_length]}_{digest}", value or UNSET)


def missing(engine: Engine, stack: str, secrets: Iterable[Secret]) -> list[Secret]:
    """Return the secrets that the swarm does not have yet."""
    existing = _list_names(engine, stack)
    return [secret for secret in secrets if secret.name not in existing]


def create(engine: Engine, stack: str, secrets: Iterable[Secret]) -> None:
    """Create the missing secrets. The client reads their values from its standard input."""
    for secret in missing(engine, stack, secrets):
        engine.query(
            f"creating the secret {secret.name}",
            *("secret", "create", "--label", f"{NAMESPACE}={stack}", secret.name, "-"),
            stdin=secret.value,
        )


def remove_unused(
    engine: Engine, stack: str, services: Mapping[str, Service], history: History
) -> None:
    """Remove the stack's secrets that no service uses, now or after a rollback."""
    for name in unused(engine, stack, [service.spec for service in services.values()], history):
        console.say(f"  removing the unused secret {name}")
        engine.query(f"removing the secret {name}", "secret", "rm", name)


def unused(
    engine: Engine, stack: str, specs: Iterable[Mapping[str, Any]], history: History
) -> list[str]:
    """Return the stack's secrets that neither these services nor a recorded release use."""
    recorded = (spec for record in history.records for spec in record.specs.values())
    used = {name for spec in (*specs, *recorded) for name in names_by_file(spec).values()}
    return sorted(_list_names(engine, stack) - used)


def names_by_file(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a service's secrets by their files in /run/secrets."""
    secrets = spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or ()
    return {item["File"]["Name"]: item["SecretName"] for item in secrets if item.get("File")}


def _list_names(engine: Engine, stack: str) -> set[str]:
    return set(
        engine.query(
            "listing the secrets",
            *("secret", "ls", "--filter", f"label={NAMESPACE}={stack}", "--format", "{{.Name}}"),
        ).split()
    )
