"""Restoration of recorded specifications: of a release, or of the services before a deployment."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.errors import ImageproofError
from imageproof.registry.credentials import find_credentials
from imageproof.swarm.converge import Failure, StackWatcher, updated_services
from imageproof.swarm.history import differing
from imageproof.swarm.state import Service, read_stack

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

MAX_ATTEMPTS = 5
OUT_OF_SEQUENCE = "update out of sequence"  # the service is no longer the one that was read
Specs = Mapping[str, Mapping[str, Any]]  # by service


def restore(
    engine: Engine, stack: str, specs: Specs, timeout: float
) -> tuple[dict[str, Service], Failure | None]:
    """Give the stack exactly these services, and wait until all their tasks are healthy.

    Args:
        engine: A manager's engine.
        stack: The stack's name.
        specs: The services' specifications.
        timeout: Seconds until an unsettled service counts as failed.

    Returns:
        The services at the end, and the failure, if any.
    """
    before = read_stack(engine, stack)
    # First, as `docker stack deploy --prune` does: a service to restore may need their ports.
    for name in sorted(before.keys() - specs.keys()):
        console.say(f"  removing {name}")
        engine.query(f"removing {name}", "service", "rm", before[name].full_name)
    for name, spec in sorted(specs.items()):
        if name in before:
            _update(engine, before[name], spec)
        else:
            console.say(f"  creating {name}")
            engine.request(
                f"creating {name}", "POST", "/services/create", spec, _registry_auth(spec)
            )
    updating = updated_services(before, read_stack(engine, stack))
    services, failure = StackWatcher(engine, stack, before, updating).wait(timeout)
    if not failure and (wrong := differing(specs, services)):
        cause = f"{', '.join(wrong)}: the specification is not the restored one"
        failure = Failure(wrong[0], f"{cause}; does another program change the stack?")
    return services, failure


def _update(engine: Engine, service: Service, spec: Mapping[str, Any]) -> None:
    """Update a service, even to an equal specification: this ends an update that Swarm paused."""
    action = f"updating {service.name}"
    for attempt in range(1, MAX_ATTEMPTS + 1):
        current = engine.request(action, "GET", f"/services/{service.id}")
        # Another counter than the current one would restart every task.
        counter = current["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
        body = {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ForceUpdate": counter}}
        path = f"/services/{service.id}/update?version={current['Version']['Index']}"
        try:
            engine.request(action, "POST", path, body, _registry_auth(spec))
        except ImageproofError as error:
            # Swarm itself changes the service while it updates it.
            if OUT_OF_SEQUENCE not in error.cause or attempt == MAX_ATTEMPTS:
                raise
        else:
            return


def _registry_auth(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the header that lets the nodes pull the image, as `--with-registry-auth` does."""
    host, slash, _ = spec["TaskTemplate"]["ContainerSpec"]["Image"].partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host = "docker.io"
    credentials = find_credentials("index.docker.io" if host == "docker.io" else host)
    if not credentials:
        return {}
    fields = {"username": credentials.user, "password": credentials.password}
    fields |= {"identitytoken": credentials.identity_token, "serveraddress": host}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}
