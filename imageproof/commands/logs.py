"""The `logs` and `ps` commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.report import summary
from imageproof.stack import compose
from imageproof.stack.logs import follow_logs
from imageproof.stack.states import states

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


def logs(engine: Engine, service: str | None, *, follow: bool, lines: int) -> None:
    """Print the last `lines` of the log of one service, or of the stack."""
    if service:
        compose.require_service(engine, service)
    if not engine.containers([service] if service else []):
        console.say("no container has a log: the stack does not exist (`./inv up` starts it)")
    for line in follow_logs(engine, service, follow=follow, lines=lines):
        console.write(line)


def ps(engine: Engine, format_: str) -> None:
    """Print the state, health, restarts and ports of each container."""
    summary.print_containers(states(engine), format_)
