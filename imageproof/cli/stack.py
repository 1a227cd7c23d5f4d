"""Commands about the stack: up, down, logs, ps, run-api, debug, watch."""

from __future__ import annotations

from invoke.context import Context

from imageproof.cli.command import command, load_project


@command("stack")
def up(_: Context) -> None:
    """Lint and build, verify, start the stack, wait for health, verify it running"""
    from imageproof.commands import up as commands

    commands.up(*load_project())


@command("stack", help={"volumes": "remove the stack's volumes as well"})
def down(_: Context, volumes: bool = False) -> None:
    """Stop and remove the stack, orphans as well"""
    from imageproof.stack import compose

    compose.down(load_project()[1], volumes=volumes)


@command(
    "stack",
    help={
        "service": "only this service",
        "follow": "go on until Ctrl-C",
        "lines": "how many of the last lines",
    },
)
def logs(_: Context, service: str = "", follow: bool = False, lines: int = 100) -> None:
    """Show the log of the stack, or of one service"""
    from imageproof import console
    from imageproof.stack import compose

    for line in compose.follow_logs(load_project()[1], service or None, follow=follow, lines=lines):
        console.write(line)


@command("stack")
def ps(_: Context) -> None:
    """Show each container of the stack: state, health, ports"""
    from imageproof.report import summary
    from imageproof.stack import compose

    summary.stack(compose.states(load_project()[1]))


@command("stack", help={"detach": "leave it running; docker stops it"})
def run_api(_: Context, detach: bool = False) -> None:
    """Run the API alone, ephemeral, on a free port"""
    from imageproof.stack import single_container

    single_container.run(*load_project(), detach=detach)


@command("stack", positional=["service"], help={"command": "run this instead of a shell"})
def debug(_: Context, service: str, command: str = "") -> None:
    """Open a shell with tools beside a running container that has none"""
    from imageproof.stack import single_container

    single_container.debug(*load_project(), service, command)


@command("stack")
def watch(_: Context) -> None:
    """Bring each change of the code to the running stack, until Ctrl-C"""
    from imageproof.commands import watch as commands

    commands.watch(*load_project())
