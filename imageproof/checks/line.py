"""line.teardown: a stopped stack leaves nothing behind, and its logs are saved."""

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
    title="A stack leaves nothing behind, however it ends, and its logs are saved",
    why="A leftover container or network holds a port and a name, and breaks the next start. Logs "
    "that are removed with their container explain nothing.",
    remedy="Let Compose name volumes and networks. `./inv down --volumes` removes leftovers now.",
    reference="https://docs.docker.com/reference/cli/docker/compose/down/",
)
def teardown(_: Contract, facts: TeardownFacts) -> Iterator[Finding]:
    """Fail for each leftover and for lost logs, after each tried end of the stack."""
    if not facts.teardowns:
        yield Finding("the stack was not stopped", unknown=True)
    for ended in facts.teardowns:
        if ended.unknown:
            yield Finding(f"after {ended.after}: {ended.unknown}", unknown=True)
        for leftover in ended.leftovers:
            yield Finding(f"after {ended.after}: {leftover} is left")
        if ended.logs_saved is False:  # None: this end saves no logs
            yield Finding(f"after {ended.after}: the logs are not saved")
