"""The `deploy`, `rollback` and `status` commands, for a stack on a Docker Swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof.report import swarm as report
from imageproof.swarm import deploy as swarm
from imageproof.swarm.target import Target, select

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def deploy(
    contract: Contract,
    engine: Engine,
    release_file: str | None,
    target: Target,
    *,
    plan: bool,
    within: float,
) -> None:
    """Deploy a release within `within` seconds; if `plan`, only print what would change."""
    manager, stack = select(engine, target)
    manager.require_answer()
    if plan:
        report.print_plans(swarm.plan_deployment(contract, manager, release_file, stack))
    else:
        report.print_status(swarm.deploy(contract, manager, release_file, stack, within))


def rollback(engine: Engine, target: Target, *, within: float) -> None:
    """Roll each service back to its state before the last deployment, within `within` seconds."""
    manager, stack = select(engine, target)
    manager.require_answer()
    report.print_status(swarm.rollback(manager, stack, within))


def status(engine: Engine, target: Target, format_: str) -> None:
    """Print the services and tasks of a stack."""
    manager, stack = select(engine, target)
    manager.require_answer()
    report.print_status(swarm.status(manager, stack), format_)
