"""The `command` decorator: a function becomes a task in a group, with failures reported."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import Task

from imageproof.errors import ImageproofError, unexpected_error
from imageproof.signals import Interruption

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it
# Names of the commands by group, in the order in which `./inv` lists them.
GROUPS: dict[str, list[str]] = {
    group: [] for group in ("machine", "images", "stack", "release", "project")
}


def command(
    group: str, **options: Any
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Make a function a command of `group`: failures are printed and become exit statuses.

    `options`: those of an Invoke task, such as `help`.
    """

    def decorate(function: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> None:
            from imageproof import console

            try:
                function(*arguments, **keywords)
            except KeyboardInterrupt as error:
                console.say("interrupted")
                status = error.status if isinstance(error, Interruption) else INTERRUPTED_STATUS
                raise Exit(code=status) from None
            except Exit:
                raise
            except Exception as error:
                if isinstance(error, BrokenPipeError) and console.is_output_closed():
                    raise  # the program exits silently
                raise Exit(code=report_error(error)) from error

        task: Task[Callable[..., None]] = Task(guarded, **options)
        name = task.name.replace("_", "-")
        if name not in GROUPS[group]:  # the project replaces a command
            GROUPS[group].append(name)
        return task

    return decorate


def report_error(error: Exception) -> int:
    """Print an error, expected or not, and return its exit status."""
    from imageproof import console

    reported = error if isinstance(error, ImageproofError) else unexpected_error(error)
    console.render_error(reported, debug="--debug" in sys.argv)
    return reported.status


def load_project() -> tuple[Contract, Engine]:
    """Return the contract, and the engine for its compose file."""
    from imageproof import contract
    from imageproof.docker.client import Engine

    loaded = contract.load()
    return loaded, Engine((loaded.compose_file,))
