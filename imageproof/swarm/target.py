"""Which swarm a command asks, and for which stack."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.docker.environment import temporary_environment
from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


@contextlib.contextmanager
def asking(
    engine: Engine, name: str | None, host: str | None, context: str | None
) -> Iterator[str]:
    """The stack's name, by default that of the compose file, while each question goes to another
    engine, as DOCKER_HOST or DOCKER_CONTEXT would have it. Raises UsageError for both at once."""
    if host and context:
        raise UsageError("reading the command line", "--host and --context are two engines")
    stack = name or engine.project or str(engine.compose_model(interpolate=True)["name"])
    variables: dict[str, str | None] = {"DOCKER_HOST": host} if host else {}
    if context:  # which DOCKER_HOST would override
        variables = {"DOCKER_HOST": None, "DOCKER_CONTEXT": context}
    with temporary_environment(variables):
        yield stack
