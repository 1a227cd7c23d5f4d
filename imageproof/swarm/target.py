"""Selection of the swarm and the stack that a command works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


@dataclass(frozen=True)
class Target:
    """A stack, and the manager of its swarm.

    Attributes:
        name: The stack's name; None: the compose project's.
        host: The manager's engine, as in DOCKER_HOST.
        context: The manager's docker context. Without host and context, the current engine.
    """

    name: str | None = None
    host: str | None = None
    context: str | None = None


def select(engine: Engine, target: Target) -> tuple[Engine, str]:
    """Return the engine of the target's manager, and the stack's name.

    `engine` is the compose project's.

    Raises:
        UsageError: Both host and context are set.
    """
    if target.host and target.context:
        raise UsageError(
            "reading the command line",
            "--host and --context exclude each other",
            hint="a context contains its host: leave out --host",
        )
    stack = target.name or engine.project or str(engine.compose_model(interpolate=True)["name"])
    if target.host or target.context:
        return replace(engine, host=target.host, context=target.context), stack
    return engine, stack
