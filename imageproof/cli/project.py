"""Commands about the project: clean."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


@command("project", help={"base": "the base image that was made here as well"})
def clean(_: Context, base: bool = False) -> None:
    """Remove what this project made in the engine, and nothing else"""
    from imageproof.commands import clean as commands

    commands.clean(*load_project(), base=base)
