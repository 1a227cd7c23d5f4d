"""Replacement or restart of one service of the running stack."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.signals import deferring
from imageproof.stack.readiness import wait_until_ready
from imageproof.stack.states import ServiceState, states

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def dependency_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the services of a compose model, each after those that it depends on."""
    graph = {name: list(service.get("depends_on") or ()) for name, service in services.items()}
    return [name for name in TopologicalSorter(graph).static_order() if name in services]


def replace_service(contract: Contract, engine: Engine, service: str) -> None:
    """Replace a service's containers if their image or settings changed, and wait for health.

    Raises:
        StackFailed: the new container did not become healthy; the error has the end of its log.
    """
    before = _states(engine, service)
    scale = ("--scale", f"{service}={len(before)}") if len(before) > 1 else ()
    options = ("--detach", "--no-deps", "--no-build", *scale)
    with deferring():  # an interrupted replacement leaves the service without its container
        engine.compose(f"replacing {service}", "up", *options, service)
    if {state.run for state in _states(engine, service)} == {state.run for state in before}:
        console.say(f"  {service:10} unchanged")
    else:
        wait_until_ready(contract, engine, before, quiet=False, service=service)


def restart_service(contract: Contract, engine: Engine, service: str) -> None:
    """Restart a service's containers, and wait for health. Raises StackFailed."""
    with deferring():
        engine.compose(f"restarting {service}", "restart", "--no-deps", service)
    wait_until_ready(contract, engine, (), quiet=False, service=service)


def _states(engine: Engine, service: str) -> list[ServiceState]:
    return [state for state in states(engine) if state.service == service]
