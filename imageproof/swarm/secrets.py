"""Docker secrets: immutable, so each is named after its content. Another value is another secret,
and a service that is given it is updated as by another image: one task after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.swarm.state import NAMESPACE

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.swarm.state import Service

LONGEST = 64  # characters of a name (swarmkit, secret names)
DIGEST_BYTES = 6
UNSET = "\n"  # Swarm takes no empty secret; the services read space alone as unset


@dataclass(frozen=True)
class Secret:
    """A secret that a stack needs: its name in the swarm, and its value, which is never shown."""

    name: str
    value: str = field(repr=False)


def named(stack: str, key: str, value: str) -> Secret:
    """The secret of that value.

    The digest in its name is a slow one (scrypt, RFC 7914), since names are no secret and short
    values could be guessed from a quick one.
    """
    salt = f"{stack}/{key}".encode()
    digest = hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=DIGEST_BYTES).hex()
    room = LONGEST - len(digest) - 1
    return Secret(f"{f'{stack}_{key}'[:room]}_{digest}", value or UNSET)


def create(engine: Engine, stack: str, secrets: Iterable[Secret]) -> None:
    """Make those that the swarm does not have yet. Values go to the client's standard input."""
    there = _names(engine, stack)
    for secret in secrets:
        if secret.name not in there:
            engine.query(
                f"making the secret {secret.name}",
                *("secret", "create", "--label", f"{NAMESPACE}={stack}", secret.name, "-"),
                stdin=secret.value,
            )


def remove_unused(engine: Engine, stack: str, services: Mapping[str, Service]) -> None:
    """Remove the stack's secrets that no service uses, now or after a rollback."""
    specs = [spec for s in services.values() for spec in (s.spec, s.previous) if spec]
    used = {name for spec in specs for name in used_by(spec).values()}
    for name in sorted(_names(engine, stack) - used):
        console.say(f"  removing the secret {name}, which nothing uses")
        engine.query(f"removing the secret {name}", "secret", "rm", name)


def used_by(spec: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of a service by their files in /run/secrets."""
    given = spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or ()
    return {secret["File"]["Name"]: secret["SecretName"] for secret in given if secret.get("File")}


def _names(engine: Engine, stack: str) -> set[str]:
    return set(
        engine.query(
            "listing the secrets",
            *("secret", "ls", "--filter", f"label={NAMESPACE}={stack}", "--format", "{{.Name}}"),
        ).split()
    )
