"""The `deploy`, `rollback` and `status` commands, for a stack on a Docker Swarm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.release import manifest
from imageproof.report import swarm as report
from imageproof.report.format_option import require_format
from imageproof.swarm import deploy as swarm
from imageproof.swarm import rollback as swarm_rollback
from imageproof.swarm.plan import plan_deployment, plan_rollback
from imageproof.swarm.stack_file import fill
from imageproof.swarm.state import require_manager
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
    dry_run: bool,
    within: float,
) -> None:
    """Deploy a release within `within` seconds; if `dry_run`, only print what would change.

    `release_file`: a path; None: the default file of the project.
    """
    manager, stack = select(engine, target)
    manager.require_answer()
    require_manager(manager)
    path = Path(release_file) if release_file else contract.root / manifest.DEFAULT_FILE
    stack_file = fill(contract, manager, manifest.load(path), stack)
    if dry_run:
        report.print_plan(plan_deployment(manager, stack_file))
    else:
        report.print_status(*swarm.deploy(manager, stack_file, within))


def rollback(
    engine: Engine, target: Target, number: int | None, *, dry_run: bool, within: float
) -> None:
    """Restore a release of the stack within `within` seconds, or only print what would change.

    `number`: of the release; None: the last that ran before.
    """
    manager, stack = select(engine, target)
    manager.require_answer()
    if dry_run:
        report.print_plan(plan_rollback(manager, stack, number))
    else:
        report.print_status(*swarm_rollback.rollback(manager, stack, number, within))


def status(engine: Engine, target: Target, format_: str) -> None:
    """Print the releases, services and tasks of a stack."""
    require_format(format_, report.FORMATS)
    manager, stack = select(engine, target)
    manager.require_answer()
    report.print_status(*swarm_rollback.status(manager, stack), format_)
