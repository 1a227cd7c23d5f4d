"""The commands: parse, call the library, render. No logic stands here.

The library is imported inside each command, so that `./inv --list` stays quick.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from ops.errors import OpsError

if TYPE_CHECKING:
    from ops.contract import Contract
    from ops.engine import Engine

GROUPS: dict[str, list[str]] = {}


def command(
    group: str, **options: Any
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Make a function a command: in a group, and with failures shown instead of raised."""

    def decorate(function: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> None:
            from ops import console

            try:
                function(*arguments, **keywords)
            except OpsError as error:
                console.render_error(error, debug=_debug())
                raise Exit(code=error.status) from error

        made: Task[Callable[..., None]] = task(guarded, **options)
        GROUPS.setdefault(group, []).append(made.name)
        return made

    return decorate


def _debug() -> bool:
    return "--debug" in sys.argv or "-d" in sys.argv


def _line() -> tuple[Contract, Engine]:
    """What most commands are about: the contract, and the engine with the contract's stack."""
    from ops import contract, engine

    terms = contract.load()
    return terms, engine.Engine((terms.compose_file,))


@command("machine")
def provision(_: Context) -> None:
    """Make a bare Debian/Ubuntu machine able to run the rest (as root)"""
    from ops.provision import provision

    provision(*_line())


@command("images", help={"image": "only this image of the contract", "cache": "use the cache"})
def build(_: Context, image: str | None = None, cache: bool = True) -> None:
    """Build all images in one parallel graph"""
    from ops.build import build
    from ops.report import summary

    summary.built(build(*_line(), image, cache=cache))


namespace = Collection.from_module(sys.modules[__name__])
