"""run.smoke: the contract's smoke tests pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.programs import ProgramFacts

MAX_LINES = 3  # last lines of output, shown in a message


@check(
    "run.smoke",
    "programs",
    title="The contract's smoke tests pass, as the image's user and without network",
    why="An image whose programs start may still fail at its task: a module, a plugin or a data "
    "file that is loaded later may be missing.",
    remedy="Run the command as the check does: `docker run --rm --network none --read-only --tmpfs "
    "/tmp IMAGE COMMAND`; add the missing file to the image.",
    reference="[tool.imageproof.images.*.smoke]",
)
def smoke(contract: ServiceContract, facts: ProgramFacts) -> Iterator[Finding]:
    """Fail for each command that ends too late, fails, or prints no line as expected."""
    runs = {run.command: run for run in facts.smokes}
    for test in contract.smoke:
        command = " ".join(test.command)
        run = runs.get(test.command)
        if run is None or run.unknown:
            yield Finding(f"`{command}`: {run.unknown if run else 'it was not run'}", unknown=True)
            continue
        output = " | ".join(run.output[-MAX_LINES:]) or "nothing"
        if run.status is None:
            yield Finding(
                f"`{command}` did not end within {test.within:g} s; it printed: {output}",
                bound=test.within,
            )
        elif run.status != 0:
            yield Finding(
                f"`{command}` ended with status {run.status}, expected 0; it printed: {output}",
                measured=run.status,
                bound=0,
            )
        elif not re.search(test.answers, "\n".join(run.output), re.MULTILINE):
            yield Finding(
                f"`{command}` printed {output}, expected {test.answers!r}",
                measured=output,
                bound=test.answers,
            )
