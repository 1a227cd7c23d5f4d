"""Commands about the project: clean."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import CHANGE_HELP, command, load_running_stack


@command("project", help={"base": "also remove the base image that provision made", **CHANGE_HELP})
def clean(
    _: Context,
    base: bool = False,
    dry_run: bool = False,
    wait: bool = True,
    take_over: bool = False,
) -> None:
    """Remove the stack, its volumes, this project's images and cached facts"""
    from imageproof.commands import clean as commands

    commands.clean(
        *load_running_stack(), base=base, dry_run=dry_run, wait=wait, take_over=take_over
    )
