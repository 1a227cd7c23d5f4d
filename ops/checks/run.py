"""What really runs: every process of every container, as the kernel describes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.running import ContainerFacts, Process, ProgramRun

PROC = "proc(5): /proc/PID/status; capabilities(7)"


@check(
    "run.programs",
    "programs",
    title="The programs of the contract run, and answer with the right version",
    why="A program that is in the image may still not start: a library, a data file or a loader "
    "may be missing.",
    mend="The closure in the Dockerfile must bring what it loads; `./inv debug` has tools.",
    reference="[tool.ops.images.*.programs]",
)
def programs(terms: Image, facts: Mapping[str, ProgramRun]) -> Iterator[Finding]:
    """Fail for each program that does not start, or answers something else."""
    for name, program in terms.programs.items():
        run = facts.get(name)
        if run is None:
            yield Finding(f"{name} was not run", unknown=True)
        elif run.status != 0:
            yield Finding(f"{name} ended with status {run.status}: {run.answer}")
        elif not re.search(program.answers, run.answer):
            yield Finding(
                f"{name} answers {run.answer!r}", measured=run.answer, bound=program.answers
            )


def _processes(containers: Sequence[ContainerFacts]) -> Iterator[tuple[str, Process] | Finding]:
    """Every process, or why there is none: seeing nothing is never a pass."""
    if not containers:
        yield Finding("no container of this service is there", unknown=True)
    for container in containers:
        if container.processes is None:
            yield Finding(f"{container.name}: {container.unknown}", unknown=True)
        elif not container.processes:
            yield Finding(f"{container.name}: the probe saw no process", unknown=True)
        else:
            for process in container.processes:
                yield f"{container.name}: process {process.pid} ({process.name})", process


@check(
    "run.nonroot",
    "containers",
    title="Every process runs as the contract's user, by all four of its ids",
    why="What counts is who the process is, not what the image says: an entry point, a compose "
    "file or a setuid program may have made it root.",
    mend="Remove `user:` from the compose file, and setuid programs from the image.",
    reference=f"CIS Docker Benchmark 4.1; {PROC}",
)
def nonroot(terms: Image, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process with another uid or gid, or with root among its groups."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
            continue
        who, process = seen
        if set(process.uids) != {terms.uid} or set(process.gids) != {terms.gid}:
            yield Finding(
                f"{who} has uids {process.uids} and gids {process.gids}",
                measured=f"{process.uids[1]}:{process.gids[1]}",
                bound=terms.user,
            )
        elif 0 in process.groups:
            yield Finding(f"{who} is in the group root", measured=str(process.groups))


@check(
    "run.capabilities",
    "containers",
    title="No process has a capability",
    why="Docker gives fourteen capabilities by default, among them raw sockets and changing file "
    "owners. A service above port 1023 needs none.",
    mend="`cap_drop: [ALL]` in the compose file, and no file capabilities in the image.",
    reference=f"CIS Docker Benchmark 5.4; {PROC}",
)
def capabilities(_: Image, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process with an effective, permitted or ambient capability."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
            continue
        who, process = seen
        bits = process.effective | process.permitted | process.ambient
        if bits:
            yield Finding(f"{who} has the capabilities {bits:#x}", measured=f"{bits:#x}", bound="0")


@check(
    "run.no-new-privileges",
    "containers",
    title="No process can gain privileges",
    why="With no_new_privs set, a setuid program is an ordinary one.",
    mend='`security_opt: ["no-new-privileges:true"]` in the compose file.',
    reference="CIS Docker Benchmark 5.26; https://docs.kernel.org/userspace-api/no_new_privs.html",
)
def no_new_privileges(_: Image, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process without no_new_privs."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
        elif not seen[1].no_new_privileges:
            yield Finding(f"{seen[0]} may gain privileges")


@check(
    "run.healthy",
    "containers",
    title="Every container is healthy, and was never restarted or killed for memory",
    why="A service that is up again after a crash looks well, until the next one.",
    mend="`./inv logs SERVICE` and `docker inspect` show why.",
    reference="https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthy(_: Image, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each container that is not running and healthy, or was not always."""
    if not facts:
        yield Finding("no container of this service is there", unknown=True)
    for container in facts:
        if container.status != "running":
            yield Finding(f"{container.name} is {container.status}", measured=container.status)
        elif container.health != "healthy":
            said = f"; it says: {container.last_words}" if container.last_words else ""
            yield Finding(
                f"{container.name} is {container.health or 'without a health check'}{said}",
                measured=container.health,
                bound="healthy",
            )
        if container.restarts:
            yield Finding(
                f"{container.name} was restarted {container.restarts} times",
                measured=container.restarts,
                bound=0,
            )
        if container.out_of_memory:
            yield Finding(f"{container.name} was killed for want of memory")
