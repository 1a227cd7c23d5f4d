"""Single containers: the HTTP service without the stack, and a shell beside a service."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import bake, base_image
from imageproof.docker.errors import translating
from imageproof.docker.image_tags import image_tags
from imageproof.errors import ImageproofError, StackFailed, UsageError
from imageproof.signals import pause
from imageproof.stack import compose
from imageproof.terminal_text import clean_lines, strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

POLL_SECONDS = 0.2


def run(contract: Contract, engine: Engine, *, detach: bool) -> None:
    """Run the contract's HTTP service without the stack, on a free loopback port.

    Without `detach`, print its log until Ctrl-C, then remove it.

    Raises:
        UsageError: no image of the contract has a health path and port.
        StackFailed: the container does not become healthy.
    """
    image = next((i for i in contract.images.values() if i.health.path and i.health.port), None)
    if image is None or image.health.port is None:
        raise UsageError(
            "running the API in a single container",
            "no image of the contract has a health path and port",
            hint="add `health = { path = …, port = … }` to an image of the contract",
        )
    engine.require_answer()
    (tag,) = image_tags(contract, engine, {image.service: image}).values()
    if engine.image(tag) is None:
        bake.build(contract, engine, None)
    container = _start(engine, image.service, image.health.port)
    keep_running = False
    try:
        host_port = _wait_until_healthy(engine, container, image.health.ready_within)
        url = f"http://127.0.0.1:{host_port}"
        console.write(f"{image.service}  {url}  (container {container[:12]})")
        keep_running = detach
        if not detach:
            console.say("  press Ctrl-C to stop it")
            _print_log(engine, container)
    except KeyboardInterrupt:
        console.say("  stopped")
    finally:
        if not keep_running:
            _remove(engine, container)


def _start(engine: Engine, service: str, port: int) -> str:
    """Start a container of a service on a free loopback port, and return its id."""
    options = ("--detach", "--no-TTY", "--no-deps", "--publish", f"127.0.0.1::{port}")
    return engine.compose(f"starting {service}", "run", *options, service).strip()


def _print_log(engine: Engine, container: str) -> None:
    """Print a container's log until the container ends."""
    entries: Any = engine.whales.logs(container, follow=True, stream=True)
    for _, line in entries:
        console.write(strip_escapes(line.decode(errors="replace")))


def _remove(engine: Engine, container: str) -> None:
    """Remove the container, and its network unless the stack uses it."""
    with contextlib.suppress(ImageproofError), translating("removing the container"):
        engine.whales.stop(container)
        engine.whales.remove(container, force=True)
        if not engine.containers():
            compose.down(engine, quiet=True)


def _wait_until_healthy(engine: Engine, container: str, limit: float) -> str:
    """Wait at most `limit` seconds until the container is healthy, and return its host port."""
    deadline = time.monotonic() + limit
    while True:
        details = engine.inspect("container", [container])[0]
        health = (details["State"].get("Health") or {}).get("Status")
        if health == "healthy":
            ports = details["NetworkSettings"]["Ports"].values()
            bindings = next(bindings for bindings in ports if bindings)  # of the published port
            return str(bindings[0]["HostPort"])
        if not details["State"]["Running"] or health == "unhealthy" or time.monotonic() > deadline:
            state = health if details["State"]["Running"] else details["State"]["Status"]
            raise StackFailed(
                "waiting for the API to become healthy",
                f"it is {state}, not healthy",
                tail=clean_lines(str(engine.whales.logs(container, tail=10))),
                hint="if a variable in the environment or .env is invalid, the log names it",
            )
        pause(POLL_SECONDS)


def debug(contract: Contract, engine: Engine, service: str, command: str) -> None:
    """Open a shell of the base image in the namespaces of a running container.

    The shell shares the service's processes and network, and sees its files under /proc/1/root.
    The service's own image needs no shell.

    Raises:
        UsageError: the stack has no such service, or it is not running.
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
    namespace = f"container:{running[0]['Id']}"
    interactive = sys.stdin.isatty() and not command
    console.say(
        f"  {base.reference} beside {running[0]['Name'].lstrip('/')}; its files: /proc/1/root"
    )
    with translating("opening a shell"):
        output = engine.whales.run(
            base.reference,
            shlex.split(command) if command else ["bash"],
            pid=namespace,
            networks=[namespace],
            cap_add=["SYS_PTRACE"],
            interactive=interactive,
            tty=interactive,
            remove=True,
        )
    if not interactive:
        console.write(str(output))
