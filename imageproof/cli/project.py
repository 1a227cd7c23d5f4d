"""Commands about the project: clean."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


@command("project", help={"base": "also remove the base image that provision made"})
def clean(_: Context, base: bool = False) -> None:
    """Remove the stack, its volumes, this project's images and cached facts"""
    from imageproof.commands import clean as commands

    commands.clean(*load_project(), base=base)
