"""Whether a service does its work: healthy since its start, its programs run, its smoke tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.programs import ProgramFacts

LAST = 3  # lines of output that a finding shows


@check(
    "run.programs",
    "programs",
    title="The programs of the contract run, and answer with the right version",
    why="A program that is in the image may still not start: a library, a data file or a loader "
    "may be missing.",
    remedy="The closure in the Dockerfile must bring what it loads; `./inv debug` has tools.",
    reference="[tool.imageproof.images.*.programs]",
)
def programs(terms: ServiceContract, facts: ProgramFacts) -> Iterator[Finding]:
    """Fail for each program that does not start, or answers something else."""
    for name, program in terms.programs.items():
        run = facts.programs.get(name)
        if run is None or run.unknown:
            why = run.unknown if run else "it was not run"
            yield Finding(f"{name}: {why}", unknown=True)
        elif run.status is None:
            yield Finding(f"{name} did not end")
        elif run.status != 0:
            yield Finding(f"{name} ended with status {run.status}: {run.answer}")
        elif not re.search(program.answers, run.answer):
            yield Finding(
                f"{name} answers {run.answer!r}", measured=run.answer, bound=program.answers
            )


@check(
    "run.smoke",
    "programs",
    title="The smoke tests of the contract hold, as the image's user and without network",
    why="An image whose programs start may still not do its work: a module, a plugin or a data "
    "file that is only loaded later is missing.",
    remedy="Run the command as it is run here: `docker run --rm --network none --read-only --tmpfs "
    "/tmp IMAGE COMMAND`; copy into the image what it misses.",
    reference="[tool.imageproof.images.*.smoke]",
)
def smoke(terms: ServiceContract, facts: ProgramFacts) -> Iterator[Finding]:
    """Fail for each command that ends late, or badly, or without the answer."""
    runs = {run.command: run for run in facts.smokes}
    for test in terms.smoke:
        named = " ".join(test.command)
        run = runs.get(test.command)
        if run is None or run.unknown:
            why = run.unknown if run else "it was not run"
            yield Finding(f"`{named}`: {why}", unknown=True)
            continue
        said = " | ".join(run.output[-LAST:]) or "nothing"
        if run.status is None:
            yield Finding(
                f"`{named}` did not end within {test.within:g} s; it says: {said}",
                bound=test.within,
            )
        elif run.status != 0:
            yield Finding(
                f"`{named}` ended with status {run.status}; it says: {said}",
                measured=run.status,
                bound=0,
            )
        elif not re.search(test.answers, "\n".join(run.output), re.MULTILINE):
            yield Finding(f"`{named}` says: {said}", measured=said, bound=test.answers)


@check(
    "run.healthy",
    "containers",
    title="Every container became healthy in time, and was never restarted or out of memory",
    why="A service that is up again after a crash looks well, until the next one.",
    remedy="`./inv logs SERVICE` and `docker inspect` show why.",
    reference="https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthy(terms: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each container that is not running and healthy, was not in time, or not always."""
    if not facts:
        yield Finding("no container of this service is there", unknown=True)
    for container in facts:
        if container.status != "running":
            yield Finding(
                f"{container.name} is {container.status}{_words(container)}",
                measured=container.status,
            )
        elif container.health != "healthy":
            yield Finding(
                f"{container.name} is {container.health or 'without a health check'}"
                f"{_words(container)}",
                measured=container.health,
                bound="healthy",
            )
        elif container.ready_after and container.ready_after > terms.health.ready_within:
            yield Finding(
                f"{container.name} was healthy after {container.ready_after:.1f} s",
                measured=round(container.ready_after, 1),
                bound=terms.health.ready_within,
            )
        if container.restarts:
            yield Finding(
                f"{container.name} was restarted {container.restarts} times",
                measured=container.restarts,
                bound=0,
            )
        if container.out_of_memory:
            yield Finding(f"{container.name}: a process of it was killed for want of memory")


def _words(container: ContainerFacts) -> str:
    """The last words of the health check, and the end of the log."""
    said = f"; its health check says: {container.health_output}" if container.health_output else ""
    return said + (f"; its log ends: {' | '.join(container.log)}" if container.log else "")
