"""The `doctor` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof.machine.doctor import examine, require_all
from imageproof.report import summary

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def doctor(contract: Contract, engine: Engine, format_: str) -> None:
    """Print each prerequisite and its remedy. Raises MachineError if one is missing."""
    prerequisites = examine(contract, engine)
    summary.print_prerequisites(prerequisites, format_)
    require_all(prerequisites)
