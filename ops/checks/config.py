"""The image's configuration: how it starts, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

# A whole command, or the end of one, that is always true
_CANNOT_FAIL = re.compile(r"(?:^|\|\||;)\s*(?:(?:/usr)?(?:/bin/)?true|:|exit 0)\s*$")
UNPRIVILEGED = 1024  # the first port that needs no capability (ip(7))
SHELLS = {"sh", "bash", "dash", "ash", "busybox"}


@check(
    "config.exec-form",
    "image",
    title="The command is in exec form, and is the contract's",
    why="In shell form a shell is PID 1: it does not pass SIGTERM on, so that each stop takes its "
    "whole timeout and ends in SIGKILL.",
    mend='Write CMD ["program", "argument"], as a JSON list.',
    reference="https://docs.docker.com/reference/dockerfile/#shell-and-exec-form",
)
def exec_form(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail where a shell starts the program, or where something else is started."""
    started = (*facts.entrypoint, *facts.command)
    if len(started) > 1 and started[0].rpartition("/")[2] in SHELLS and started[1] == "-c":
        yield Finding(f"a shell starts it: {' '.join(started)}")
    elif started != terms.command:
        yield Finding(
            "it starts something else than the contract says",
            measured=" ".join(started),
            bound=" ".join(terms.command),
        )


@check(
    "config.healthcheck",
    "image",
    title="A health check is there, and notices a failure in time",
    why="Without one, a service that hangs counts as running; with lax times it is noticed late.",
    mend="HEALTHCHECK with an exec-form probe; (interval + timeout) x retries within the "
    "contract's notices_within.",
    reference="CIS Docker Benchmark 4.6; https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthcheck(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for none, for one that cannot fail, and for one that is too slow."""
    probe = facts.healthcheck
    if probe is None:
        yield Finding("there is no HEALTHCHECK")
        return
    command = " ".join(probe.test[1:]).strip()
    if _CANNOT_FAIL.search(command):
        yield Finding(f"the health check cannot fail: {command}")
    if probe.notices_within > terms.health.notices_within:
        yield Finding(
            f"a failure is noticed after {probe.notices_within:g} s at worst, "
            f"the bound is {terms.health.notices_within:g} s",
            measured=probe.notices_within,
            bound=terms.health.notices_within,
        )


@check(
    "config.labels",
    "image",
    title="The labels that the contract asks for are there",
    why="An image that is found on a node at night must say what it is and where it came from.",
    mend="Add the LABEL to the Dockerfile's last stage.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def labels(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each label that is missing or empty."""
    for name in terms.labels:
        if not facts.labels.get(name):
            yield Finding(f"the label {name} is missing or empty")


@check(
    "config.ports",
    "image",
    title="Exactly the contract's ports are exposed, and none is privileged",
    why="EXPOSE documents what listens; a port below 1024 asks for a capability or root.",
    mend="Make EXPOSE and the contract's ports agree; listen above 1023.",
    reference="CIS Docker Benchmark 5.8; https://docs.docker.com/reference/dockerfile/#expose",
)
def ports(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a port too many, one missing, or a privileged one."""
    exposed = {int(port.partition("/")[0]) for port in facts.ports}
    for port in sorted(exposed - set(terms.ports)):
        yield Finding(f"port {port} is exposed, but not in the contract", measured=port)
    for port in sorted(set(terms.ports) - exposed):
        yield Finding(f"port {port} of the contract is not exposed", bound=port)
    for port in sorted(port for port in exposed if port < UNPRIVILEGED):
        yield Finding(f"port {port} is privileged", measured=port)
