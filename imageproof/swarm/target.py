"""Selection of the swarm and the stack that a command works on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.docker.environment import temporary_environment
from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


@contextlib.contextmanager
def select(
    engine: Engine, name: str | None, host: str | None, context: str | None
) -> Iterator[str]:
    """Direct the Docker client to a manager inside the block, and yield the stack's name.

    Args:
        engine: The engine of the compose project.
        name: The stack's name; None takes the compose project's.
        host: Value for DOCKER_HOST.
        context: Value for DOCKER_CONTEXT.

    Raises:
        UsageError: Both `host` and `context` are set.
    """
    if host and context:
        raise UsageError("reading the command line", "--host and --context exclude each other")
    stack = name or engine.project or str(engine.compose_model(interpolate=True)["name"])
    variables: dict[str, str | None] = {"DOCKER_HOST": host} if host else {}
    if context:
        variables = {"DOCKER_HOST": None, "DOCKER_CONTEXT": context}  # DOCKER_HOST has precedence
    with temporary_environment(variables):
        yield stack
