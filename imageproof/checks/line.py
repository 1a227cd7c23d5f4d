"""What the line itself leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.deep.teardown import TeardownFacts


@check(
    "line.teardown",
    "teardown",
    title="However the stack ends, nothing of it is left, and the logs are kept",
    why="A container or network that is left behind holds a port and a name, and breaks the next "
    "start; a log that is gone with its container explains nothing.",
    remedy="Let Compose name volumes and networks; `./inv down --volumes` removes what is left now.",
    reference="https://docs.docker.com/reference/cli/docker/compose/down/",
)
def teardown(_: Contract, facts: TeardownFacts) -> Iterator[Finding]:
    """Fail for what is left after an end of any kind, and for logs that were not kept."""
    if not facts.teardowns:
        yield Finding("the stack was not ended", unknown=True)
    for end in facts.teardowns:
        if end.unknown:
            yield Finding(f"after {end.after}: {end.unknown}", unknown=True)
        for leftover in end.leftovers:
            yield Finding(f"after {end.after}: {leftover} is left")
        if end.logs_saved is False:
            yield Finding(f"after {end.after}: the logs are not kept")
