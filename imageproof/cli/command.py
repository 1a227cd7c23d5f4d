"""What makes a function a command of `./inv`: in a group, and with failures shown."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import Task

from imageproof.errors import ImageproofError, unexpected
from imageproof.signals import Interruption

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


INTERRUPTED = 130  # 128 + SIGINT, as shells report it
# In the order in which they are listed.
GROUPS: dict[str, list[str]] = {
    group: [] for group in ("machine", "images", "stack", "release", "project")
}


def command(
    group: str, **options: Any
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Make a function a command: in a group, and with failures shown instead of raised."""

    def decorate(function: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> None:
            from imageproof import console

            try:
                function(*arguments, **keywords)
            except KeyboardInterrupt as signal:
                console.say("interrupted")
                status = signal.status if isinstance(signal, Interruption) else INTERRUPTED
                raise Exit(code=status) from None
            except Exit:
                raise
            except Exception as error:
                if isinstance(error, BrokenPipeError) and console.is_unread():
                    raise  # imageproof.cli.program ends it
                raise Exit(code=told(error)) from error

        made: Task[Callable[..., None]] = Task(guarded, **options)
        name = made.name.replace("_", "-")
        if name not in GROUPS[group]:  # a project may replace a command
            GROUPS[group].append(name)
        return made

    return decorate


def told(error: Exception) -> int:
    """Show a failure, foreseen or not; its exit status."""
    from imageproof import console

    made = error if isinstance(error, ImageproofError) else unexpected(error)
    console.render_error(made, debug=_debug())
    return made.status


def _debug() -> bool:
    return "--debug" in sys.argv


def load_project() -> tuple[Contract, Engine]:
    """Return the contract, and the engine with the contract's stack."""
    from imageproof import contract
    from imageproof.docker.client import Engine

    loaded = contract.load()
    return loaded, Engine((loaded.compose_file,))
