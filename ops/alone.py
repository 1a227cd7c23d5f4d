"""Single containers beside the stack: a service by itself, and a shell next to a running one."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from ops import base, console, stack
from ops import build as builds
from ops.engine import environment, translating
from ops.errors import StackFailed, UsageError
from ops.references import references

if TYPE_CHECKING:
    from ops.contract import Contract
    from ops.engine import Engine

POLL_SECONDS = 0.2


def run(contract: Contract, engine: Engine, *, detach: bool) -> None:
    """Run the service that answers over HTTP, by itself, on a free port of the loopback."""
    image = next((i for i in contract.images.values() if i.health.path and i.health.port), None)
    if image is None or image.health.port is None:
        raise UsageError("running the API alone", "no image of the contract has a health path")
    engine.require()
    tag = next(iter(references(contract, engine, {image.service: image}).values()))
    if engine.image(tag) is None:
        builds.build(contract, engine, None)
    with translating(f"starting {image.service}"), environment(engine.variables):
        started: Any = engine.docker.compose.run(
            image.service,
            detach=True,
            dependencies=False,
            publish=[("127.0.0.1:", image.health.port)],
            remove=True,
            tty=False,
        )
    container: str = started.id
    try:
        port = _wait(engine, container, image.health.ready_within)
        console.write(f"{image.service}  http://127.0.0.1:{port}  (container {container[:12]})")
        if not detach:
            console.say("  Ctrl-C ends it")
            lines: Any = engine.docker.logs(container, follow=True, stream=True)
            for _, line in lines:
                console.write(line.decode(errors="replace"))
    except BaseException:  # also a Ctrl-C: nothing is left behind
        with contextlib.suppress(Exception):
            engine.docker.stop(container)
            _remove_network(engine, container)
        if sys.exc_info()[0] is not KeyboardInterrupt:
            raise


def _remove_network(engine: Engine, container: str) -> None:
    """Remove the network that Compose made for it, unless the stack runs on it."""
    others = [c for c in engine.containers() if c["Id"] != container]
    if not others:
        stack.down(engine, quiet=True)


def _wait(engine: Engine, container: str, limit: float) -> str:
    """Wait until it is healthy; the host's port."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found = engine.inspect("container", [container])[0]
        if found["State"].get("Health", {}).get("Status") == "healthy":
            bindings = next(b for b in found["NetworkSettings"]["Ports"].values() if b)
            return str(bindings[0]["HostPort"])
        time.sleep(POLL_SECONDS)
    raise StackFailed("waiting for the API alone", f"it is not healthy within {limit:.0f} s")


def debug(contract: Contract, engine: Engine, service: str, command: str) -> None:
    """Open a shell of the base image in the namespaces of a running container.

    It shares the processes and the network of the service, and sees its files under
    /proc/1/root; the service itself needs no shell for it.
    """
    engine.require()
    stack.require_service(engine, service)
    containers = engine.containers([service])
    running = [c for c in containers if c["State"]["Running"]]
    if not running:
        raise UsageError(
            "opening a shell", f"no container of {service!r} runs", hint="`./inv up` starts them"
        )
    tools = base.resolve(contract, engine)
    target = f"container:{running[0]['Id']}"
    interactive = sys.stdin.isatty() and not command
    console.say(
        f"  {tools.reference} beside {running[0]['Name'].lstrip('/')}; its files: /proc/1/root"
    )
    with translating("opening a shell"):
        answer = engine.docker.run(
            tools.reference,
            shlex.split(command) if command else ["bash"],
            pid=target,
            networks=[target],
            cap_add=["SYS_PTRACE"],
            interactive=interactive,
            tty=interactive,
            remove=True,
        )
    if not interactive:
        console.write(str(answer))
