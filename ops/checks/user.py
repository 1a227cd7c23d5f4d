"""Who the image's configuration says that its program runs as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

CIS = "CIS Docker Benchmark 4.1; https://docs.docker.com/build/building/best-practices/#user"


@check(
    "user.nonroot",
    "image",
    title="The configured user is not root, and is the contract's",
    why="A program that runs as root in a container is root to every mistake of the kernel, the "
    "engine or a mounted folder. `USER 0:0` is root as much as no USER is.",
    mend="End the Dockerfile's last stage with `USER 10001:10001`, the contract's uid and gid.",
    reference=CIS,
)
def nonroot(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for root by any spelling, and for anybody but the contract's user."""
    name, _, group = facts.user.partition(":")
    if name in ("", "root") or re.fullmatch(r"0+", name):
        yield Finding(f"the user is root (USER {facts.user or 'not set'})", measured=facts.user)
    elif group == "root" or re.fullmatch(r"0+", group):
        yield Finding(f"the group is root (USER {facts.user})", measured=facts.user)
    elif facts.user != terms.user:
        yield Finding(
            f"the user is {facts.user}, not {terms.user}", measured=facts.user, bound=terms.user
        )


@check(
    "user.numeric",
    "image",
    title="User and group are numbers",
    why="Whoever runs the image can only know that a name is not root by reading the image's own "
    "/etc/passwd: Kubernetes' runAsNonRoot refuses names.",
    mend="Write USER as uid:gid in numbers.",
    reference="https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
)
def numeric(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail unless USER is uid:gid in digits."""
    if facts.user and not re.fullmatch(r"\d+:\d+", facts.user):
        yield Finding(f"USER {facts.user} is not numeric uid:gid", measured=facts.user)
