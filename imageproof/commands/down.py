"""The `down` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.docker.project_lock import project_lock
from imageproof.stack import compose
from imageproof.stack.objects import stack_objects
from imageproof.stack.ownership import require_own_stack

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def down(
    contract: Contract,
    engine: Engine,
    *,
    volumes: bool,
    dry_run: bool,
    wait: bool,
    take_over: bool,
) -> None:
    """Stop and remove the stack; `dry_run`: only print what would be removed."""
    engine.require_answer()
    if dry_run:
        if not take_over:
            require_own_stack(contract, engine, f"down --dry-run{' --volumes' if volumes else ''}")
        plan_down(engine, volumes=volumes)
        return
    with project_lock(engine, "down", wait=wait):
        if not take_over:
            require_own_stack(contract, engine, f"down{' --volumes' if volumes else ''}")
        compose.down(engine, volumes=volumes)


def plan_down(engine: Engine, *, volumes: bool) -> None:
    """Print what `down` would remove."""
    for text in stack_objects(engine, volumes=volumes).describe(engine):
        console.write(f"would remove {text}")
