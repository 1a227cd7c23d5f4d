"""Last log lines of a failed task, and of its health check."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING

from imageproof.errors import ImageproofError
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.swarm.state import Task

LOG_LINES = 10
LOG_TIMEOUT_SECONDS = 10.0


def log_tail(engine: Engine, task: Task) -> list[str]:
    """Return the last log lines of a task, and of its health check if it ran on this engine."""
    return [
        *(f"log: {line}" for line in _log(engine, task)),
        *(f"health: {line}" for line in _health(engine, task)),
    ]


def _log(engine: Engine, task: Task) -> list[str]:
    if not task.container:
        return []
    command = engine.command("service", "logs", "--raw", f"--tail={LOG_LINES}", task.id)
    # Swarm fetches the log from the task's node, and waits forever if that node is gone.
    with contextlib.suppress(subprocess.TimeoutExpired, FileNotFoundError):
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LOG_TIMEOUT_SECONDS
        )
        return [redact(line) for line in clean_lines(result.stdout + result.stderr)[-LOG_LINES:]]
    return []


def _health(engine: Engine, task: Task) -> list[str]:
    action = f"inspecting the container of {task.name}"
    with contextlib.suppress(ImageproofError, ValueError, IndexError):
        answer = engine.query(action, "container", "inspect", task.container)
        state = json.loads(answer)[0]["State"]
        log = (state.get("Health") or {}).get("Log") or []
        return [redact(line) for line in clean_lines(log[-1].get("Output"))]
    return []
