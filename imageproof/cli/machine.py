"""Commands about the machine: provision, doctor."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project
from imageproof.cli.options import one_of


@command("machine")
def provision(_: Context) -> None:
    """Install what the other commands need on a bare Debian or Ubuntu machine (as root)"""
    from imageproof.machine.provision import provision

    provision(*load_project())


@command("machine", values={"format": one_of("table", "json")}, help={"format": "table or json"})
def doctor(_: Context, format: str = "table") -> None:  # noqa: A002  # the option's name
    """Show each prerequisite, its problem, and the command that fixes it"""
    from imageproof.commands import doctor as commands

    commands.doctor(*load_project(), format)
