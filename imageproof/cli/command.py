"""The `command` decorator: a function becomes a task in a group, with failures reported."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from imageproof.cli.core_options import INSTEAD
from imageproof.cli.options import Check, CheckedArgument
from imageproof.cli.wrong_words import ACTION
from imageproof.errors import ImageproofError, UsageError, unexpected_error
from imageproof.signals import Interruption

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


# Help of the options that several commands have.
WAIT_HELP = "wait for another command on this project (--no-wait: fail with status 3)"
CHANGE_HELP = {
    "dry-run": "only print what would be done",
    "wait": WAIT_HELP,
    "take-over": "also change a stack that was started from another folder",
}
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it
# Names of the commands by group, in the order in which `./inv` lists them.
GROUPS: dict[str, list[str]] = {
    group: [] for group in ("machine", "images", "stack", "release", "project")
}


class CommandTask(Task[Callable[..., None]]):
    """Task of Invoke whose option values are checked when they are parsed, by `values`."""

    values: Mapping[str, Check] = {}

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Return the options of an Argument; `-h` stays free for help."""
        return super().arg_opts(name, default, taken_names | {"h"})

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the arguments, with their checks."""
        arguments = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            argument.__class__ = CheckedArgument
            assert isinstance(argument, CheckedArgument)
            argument.check = self.values.get(argument.names[0])
            argument.command = self.name.replace("_", "-")
        return arguments


def command(
    group: str, *, values: Mapping[str, Check] | None = None, **options: Any
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Make a function a command of `group`: failures are printed and become exit statuses.

    Args:
        group: the command's group in the list of commands.
        values: checks of option values, by the option's name.
        options: those of an Invoke task, such as `help`.
    """

    def decorate(function: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> None:
            from imageproof import console

            try:
                _refuse_dry(arguments[0])
                function(*arguments, **keywords)
            except KeyboardInterrupt as error:
                with contextlib.suppress(KeyboardInterrupt):  # a second one
                    console.say("interrupted")
                status = error.status if isinstance(error, Interruption) else INTERRUPTED_STATUS
                raise Exit(code=status) from None
            except Exit:
                raise
            except Exception as error:
                if isinstance(error, BrokenPipeError) and console.is_output_closed():
                    raise  # the program exits silently
                raise Exit(code=report_error(error)) from error

        task = CommandTask(guarded, **options)
        task.values = values or {}
        name = task.name.replace("_", "-")
        if name not in GROUPS[group]:  # the project replaces a command
            GROUPS[group].append(name)
        return task

    return decorate


def _refuse_dry(context: object) -> None:
    """Refuse `invoke --dry`: it promises to change nothing, and would have no effect here."""
    if isinstance(context, Context) and context.config.run.dry:
        cause = "--dry is an option of Invoke that the commands here do not use"
        raise UsageError(ACTION, cause, hint=INSTEAD["dry"])


def report_error(error: Exception) -> int:
    """Print an error, expected or not, and return its exit status."""
    from imageproof import console

    reported = error if isinstance(error, ImageproofError) else unexpected_error(error)
    console.render_error(reported)
    return reported.status


def load_project() -> tuple[Contract, Engine]:
    """Return the contract, and the engine for the compose files that Compose would read."""
    from imageproof import contract
    from imageproof.docker.client import Engine
    from imageproof.docker.compose_files import files_in_use

    loaded = contract.load()
    return loaded, Engine(files_in_use(loaded))


def load_stack() -> tuple[Contract, Engine]:
    """Return the same as `load_project`, and print which files are read besides the contract's."""
    from imageproof import console
    from imageproof.docker.compose_files import describe_files_in_use

    loaded, engine = load_project()
    if description := describe_files_in_use(loaded):
        console.say(f"  {description}")
    return loaded, engine


def load_running_stack() -> tuple[Contract, Engine]:
    """Return the same as `load_stack`. Raises EngineUnavailable if the engine does not answer."""
    loaded, engine = load_stack()
    engine.require_answer()
    return loaded, engine
