"""A shell or a command beside a running service, in a container with tools."""

from __future__ import annotations

import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import base_image
from imageproof.errors import CommandFailed, StackFailed, UsageError
from imageproof.signals import deferring
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

END_SECONDS = 10.0  # for the client of a container that was removed
SHELL = "command -v bash >/dev/null && exec bash; exec sh"
# $1: the command; $2: PS, for a base image without procps.
START = """
if ! command -v ps >/dev/null; then
    mkdir -p /imageproof && printf '%s' "$2" >/imageproof/ps && chmod 755 /imageproof/ps
    PATH="$PATH:/imageproof"
    export PATH
fi 2>/dev/null
exec sh -c "$1"
"""
PS = r"""#!/bin/sh
# Lists all processes, because this image has no procps.
case "$*" in
"" | -e | -A | ax | -ef | aux | -aux | auxw | auxww) ;;
*)
    echo "ps: this image has no procps; here is only ps, ps -ef and ps aux; see also /proc" >&2
    exit 1
    ;;
esac
row='%7s %7s %7s %s %9s  %s\n'
printf "$row" PID PPID UID S RSS_KB COMMAND
for folder in /proc/[0-9]*; do
    name= state= pid= ppid= uid= rss=0
    while read -r key value _; do
        case $key in
        Name:) name=$value ;;
        State:) state=$value ;;
        Pid:) pid=$value ;;
        PPid:) ppid=$value ;;
        Uid:) uid=$value ;;
        VmRSS:) rss=$value ;;
        esac
    done 2>/dev/null <"$folder/status"
    [ "$pid" ] || continue # it ended
    line=$(tr '\000-\037\177' ' ' 2>/dev/null <"$folder/cmdline")
    printf "$row" "$pid" "$ppid" "$uid" "$state" "$rss" "${line:-[$name]}"
done
"""


def debug(contract: Contract, engine: Engine, service: str, command: str) -> None:
    """Run a shell of the base image in the namespaces of a running container.

    It shares the service's processes and network, and sees its files under /proc/1/root. The
    service's own image needs no shell. Standard input and outputs are those of this program.

    Args:
        contract: the project.
        engine: the engine with the stack.
        service: the compose service.
        command: a command line for the shell; "" for a shell that reads standard input.

    Raises:
        UsageError: the stack has no such service, or it is not running.
        CommandFailed: the command failed; the error has its exit status.
    """
    engine.require_answer()
    compose.require_service(engine, service)
    running = [c for c in engine.containers([service]) if c["State"]["Running"]]
    if not running:
        raise UsageError(
            "opening a shell",
            f"the service {service!r} is not running",
            hint="`./inv up` starts the stack",
        )
    base = base_image.resolve(contract, engine)
    target = running[0]["Name"].lstrip("/")
    console.say(f"  {base.reference} beside {target}; its files: /proc/1/root")
    action = f"running {command!r} beside {target}" if command else f"opening a shell at {target}"
    name = f"{engine.project_name}-{service}-debug-{secrets.token_hex(4)}"
    try:
        _create(engine, action, name, target, base.reference, command or SHELL)
        status = _attach(engine, action, name)
    finally:
        engine.remove_container(name)
    if status and (command or not sys.stdin.isatty()):  # not of the last command in a shell
        raise CommandFailed(action, status)


def _create(engine: Engine, action: str, name: str, target: str, image: str, command: str) -> None:
    """Create a container in the namespaces of another one."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    namespace = f"container:{target}"
    with deferring():  # an interrupted command could create the container after its removal
        engine.query(
            action,
            *("container", "create", "--name", name, "--interactive"),
            *(("--tty",) if is_terminal else ()),
            *("--pid", namespace, "--network", namespace, "--cap-add", "SYS_PTRACE"),
            *("--entrypoint", "sh", image, "-c", START, "sh", command, PS),
        )


def _attach(engine: Engine, action: str, name: str) -> int:
    """Start a container on this terminal, and return its exit status.

    Raises:
        StackFailed: the engine could not start it, such as an image without `sh`.
    """
    with engine.start_attached("container", "start", "--attach", "--interactive", name) as client:
        try:
            client.wait()
        except BaseException:  # a signal; the client restores the terminal when it ends
            engine.remove_container(name)
            _wait_for_end(client)
            raise
    state = engine.inspect("container", [name])[0]["State"]
    if state["Error"]:
        raise StackFailed(
            action,
            str(state["Error"]),
            hint="the base image needs `sh`: `./inv doctor` shows which image is used",
        )
    return int(state["ExitCode"])


def _wait_for_end(client: subprocess.Popen[bytes]) -> None:
    try:
        client.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()
