"""Commands about the stack: up, down, logs, ps, run-api, debug, watch."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import CHANGE_HELP, command, load_running_stack
from imageproof.cli.options import one_of


@command("stack", help=CHANGE_HELP)
def up(_: Context, dry_run: bool = False, wait: bool = True, take_over: bool = False) -> None:
    """Lint and build, verify, start the stack, wait for health, verify it running"""
    from imageproof.commands import up as commands

    commands.up(*load_running_stack(), dry_run=dry_run, wait=wait, take_over=take_over)


@command("stack", help={"volumes": "also remove the stack's named volumes", **CHANGE_HELP})
def down(
    _: Context,
    volumes: bool = False,
    dry_run: bool = False,
    wait: bool = True,
    take_over: bool = False,
) -> None:
    """Stop and remove the stack, including orphans and anonymous volumes"""
    from imageproof.commands import down as commands

    commands.down(
        *load_running_stack(), volumes=volumes, dry_run=dry_run, wait=wait, take_over=take_over
    )


@command(
    "stack",
    help={
        "service": "only this service",
        "follow": "keep printing until Ctrl-C",
        "lines": "number of last lines (default: 100)",
    },
)
def logs(_: Context, service: str = "", follow: bool = False, lines: int = 100) -> None:
    """Show the log of the stack in order of time, or of one service"""
    from imageproof.commands import logs as commands

    commands.logs(load_running_stack()[1], service or None, follow=follow, lines=lines)


@command("stack", values={"format": one_of("table", "json")}, help={"format": "table or json"})
def ps(_: Context, format: str = "table") -> None:  # noqa: A002  # the option's name
    """Show the state, health, restarts and ports of each container"""
    from imageproof.commands import logs as commands

    commands.ps(load_running_stack()[1], format)


@command("stack", help={"detach": "keep it running after this command ends"})
def run_api(_: Context, detach: bool = False) -> None:
    """Run the service with a health path as a single container, on a free port"""
    from imageproof.stack import single_container

    single_container.run(*load_running_stack(), detach=detach)


@command(
    "stack",
    positional=["service"],
    help={"command": "run this command line instead; its exit status becomes this one's"},
)
def debug(_: Context, service: str, command: str = "") -> None:
    """Open a shell with tools beside a running container that has no shell"""
    from imageproof.stack import debug

    debug.debug(*load_running_stack(), service, command)


@command("stack", help={"take-over": CHANGE_HELP["take-over"]})
def watch(_: Context, take_over: bool = False) -> None:
    """Rebuild services when their files change, replace one after the other, until Ctrl-C"""
    from imageproof.commands import watch as commands

    commands.watch(*load_running_stack(), take_over=take_over)
