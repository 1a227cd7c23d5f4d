"""Commands about the machine: provision, doctor."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


@command("machine")
def provision(_: Context) -> None:
    """Make a bare Debian/Ubuntu machine able to run the rest (as root)"""
    from imageproof.machine.provision import provision

    provision(*load_project())


@command("machine", help={"format": "table or json"})
def doctor(_: Context, format: str = "table") -> None:  # noqa: A002  # the option's name
    """Show each prerequisite, what is wrong, and the command that mends it"""
    from imageproof.machine.doctor import examine, judge
    from imageproof.report import summary

    found = examine(*load_project())
    summary.prerequisites(found, format)
    judge(found)
