"""The contract's HTTP service as a single container, without the stack."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import bake
from imageproof.docker.image_tags import image_tags
from imageproof.docker.project_lock import project_lock
from imageproof.errors import ImageproofError, ProjectBusy, StackFailed, UsageError
from imageproof.signals import deferring, pause
from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.docker.client import Engine

COMMAND = "run-api"
POLL_SECONDS = 0.2
ERROR_LOG_LINES = 10
MAX_LOCK_SECONDS = 5.0  # another run-api holds the lock for a second; other commands for longer


def run(contract: Contract, engine: Engine, *, detach: bool) -> None:
    """Run the contract's HTTP service without the stack, on a free loopback port.

    Without `detach`, print its log until a signal or its end, then remove it.

    Raises:
        UsageError: no image of the contract has a health path and port.
        StackFailed: the container does not become healthy, or ends with an error.
    """
    name, image, port = _http_image(contract)
    engine.require_answer()
    (tag,) = image_tags(contract, engine, {name: image}).values()
    container = f"{engine.project_name}-{image.service}-run-{secrets.token_hex(4)}"
    keep_running = False
    try:
        with project_lock(engine, COMMAND):
            if engine.image(tag) is None:
                bake.build(contract, engine, name)
            _start(engine, image.service, container, port)
        _wait_until_healthy(engine, image.service, container, image.health.ready_within)
        host_port = _host_port(engine, image.service, container, port)
        console.write(f"{image.service}  http://127.0.0.1:{host_port}  (container {container})")
        keep_running = detach
        if not detach:
            console.say("  press Ctrl-C to stop it")
            _print_log(engine, image.service, container)
    finally:
        if not keep_running:
            _remove(engine, container)


def _http_image(contract: Contract) -> tuple[str, ServiceContract, int]:
    """Return the first image with a health path: its name, contract and port."""
    for name, image in contract.images.items():
        if image.health.path and image.health.port:
            return name, image, image.health.port
    raise UsageError(
        "running the API in a single container",
        "no image of the contract has a health path and port",
        hint="add `health = { path = …, port = … }` to an image of the contract",
    )


def _start(engine: Engine, service: str, container: str, port: int) -> None:
    """Start a container of a service on a free loopback port."""
    options = ("--detach", "--no-TTY", "--no-deps", "--name", container)
    with deferring():  # an interrupted start could create the container after its removal
        engine.compose(
            f"starting {service}", "run", *options, "--publish", f"127.0.0.1::{port}", service
        )


def _print_log(engine: Engine, service: str, container: str) -> None:
    """Print a container's log until the container ends. Raises StackFailed if it failed."""
    for line in engine.follow_container_log(container, "--follow"):
        console.write(strip_escapes(line))
    status = _inspect(engine, service, container)["State"]["ExitCode"]
    if status:
        raise StackFailed(
            f"running {service}", f"it ended with status {status}", hint="its log is above"
        )
    console.say(f"  {service} ended")


def _inspect(engine: Engine, service: str, container: str) -> dict[str, Any]:
    """Return `docker inspect`. Raises StackFailed if another command removed the container."""
    try:
        return engine.inspect("container", [container])[0]
    except StackFailed as error:
        if "no such container" not in error.cause.lower():
            raise
        raise StackFailed(
            f"running {service}",
            f"another command removed its container {container}",
            hint="`./inv down` and `./inv clean` remove every container of the project",
        ) from error


def _remove(engine: Engine, container: str) -> None:
    """Stop and remove the container, and its network unless another container may use it.

    A second Ctrl-C ends the wait for its stop.
    """
    try:
        with contextlib.suppress(ImageproofError):
            engine.query(f"stopping {container}", "container", "stop", "--", container)
    finally:
        with deferring(), contextlib.suppress(ImageproofError):
            engine.remove_container(container)
            _remove_unused_networks(engine)


def _remove_unused_networks(engine: Engine) -> None:
    """Remove the project's networks if it has no container; under the lock, as others may start."""
    label = f"com.docker.compose.project={engine.project_name}"
    deadline = time.monotonic() + MAX_LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            with project_lock(engine, COMMAND, wait=False):
                networks = engine.names_with_label("network", label)
                if networks and not engine.names_with_label("container", label):
                    engine.remove("network", networks)
                return
        except ProjectBusy:
            time.sleep(POLL_SECONDS)  # not `pause`, which a received signal ends
    # A longer command uses the networks, or removes them.


def _wait_until_healthy(engine: Engine, service: str, container: str, limit: float) -> None:
    """Wait at most `limit` seconds until the container is healthy."""
    deadline = time.monotonic() + limit
    while True:
        state = _inspect(engine, service, container)["State"]
        health = (state.get("Health") or {}).get("Status")
        if state["Running"] and health is None:
            console.warn(f"{service} has no health check, so its start is not waited for")
            return
        if state["Running"] and health == "healthy":
            return
        if not state["Running"] or health == "unhealthy" or time.monotonic() > deadline:
            raise StackFailed(
                f"waiting for {service} to become healthy",
                f"it is {health if state['Running'] else state['Status']}, not healthy",
                tail=engine.container_log(container, ERROR_LOG_LINES),
                hint="if a variable in the environment or .env is invalid, the log names it",
            )
        pause(POLL_SECONDS)


def _host_port(engine: Engine, service: str, container: str, port: int) -> str:
    """Return the published port; the container's own if it uses this machine's network."""
    ports = _inspect(engine, service, container)["NetworkSettings"].get("Ports") or {}
    bindings = ports.get(f"{port}/tcp") or [{"HostPort": port}]
    return str(bindings[0]["HostPort"])
