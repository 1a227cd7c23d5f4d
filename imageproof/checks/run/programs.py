"""run.programs: the contract's programs run, and print the right version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.programs import ProgramFacts


@check(
    "run.programs",
    "programs",
    title="The contract's programs run, and print the expected first line",
    why="A program in the image may not start: a library, a data file or a loader may be missing.",
    remedy="Add the missing file to the closure in the Dockerfile; "
    "`./inv debug SERVICE` has tools.",
    reference="[tool.imageproof.images.*.programs]",
)
def programs(contract: ServiceContract, facts: ProgramFacts) -> Iterator[Finding]:
    """Fail for each program that does not end in time, fails, or prints another first line."""
    for name, program in contract.programs.items():
        run = facts.programs.get(name)
        if run is None or run.unknown:
            yield Finding(f"{name}: {run.unknown if run else 'it was not run'}", unknown=True)
        elif run.status is None:
            yield Finding(f"{name} did not end in time")
        elif run.status != 0:
            yield Finding(
                f"{name} ended with status {run.status}, expected 0: {run.answer}",
                measured=run.status,
                bound=0,
            )
        elif not re.search(program.answers, run.answer):
            yield Finding(
                f"{name} printed {run.answer!r}, expected {program.answers!r}",
                measured=run.answer,
                bound=program.answers,
            )
