"""The `deploy`, `rollback` and `status` commands, for a stack on a Docker Swarm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.report import swarm as report
from imageproof.swarm import deploy as swarm
from imageproof.swarm import target

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


@dataclass(frozen=True)
class Options:
    """The swarm to address: the stack's name, and a manager's engine."""

    name: str | None = None
    host: str | None = None
    context: str | None = None


def deploy(
    contract: Contract,
    engine: Engine,
    release: str | None,
    options: Options,
    *,
    plan: bool,
    within: float,
) -> None:
    """Deploy a release within `within` seconds, or print what a deployment would change."""
    with target.select(engine, options.name, options.host, options.context) as stack:
        if plan:
            report.print_plans(swarm.plan_deployment(contract, engine, release, stack))
        else:
            report.print_status(swarm.deploy(contract, engine, release, stack, within))


def rollback(engine: Engine, options: Options, *, within: float) -> None:
    """Take each service back to its state before the last deployment, within `within` seconds."""
    with target.select(engine, options.name, options.host, options.context) as stack:
        report.print_status(swarm.rollback(engine, stack, within))


def status(engine: Engine, options: Options, format_: str) -> None:
    """Print the services and tasks of a stack."""
    with target.select(engine, options.name, options.host, options.context) as stack:
        report.print_status(swarm.status(engine, stack), format_)
