"""Who the image's configuration says that its program runs as."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.accounts import GROUP, PASSWD, accounts_of

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

CIS = "CIS Docker Benchmark 4.1; https://docs.docker.com/build/building/best-practices/#user"


@check(
    "user.nonroot",
    "image",
    title="The configured user is not root, and is the contract's",
    why="A program that runs as root in a container is root to every mistake of the kernel, the "
    "engine or a mounted folder. `USER 0:0` is root as much as no USER is.",
    remedy="End the Dockerfile's last stage with `USER 10001:10001`, the contract's uid and gid.",
    reference=CIS,
)
def nonroot(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for root by any spelling, and for anybody but the contract's user, also by name."""
    uid, gid = accounts_of(facts).run_as(facts.user)
    name, _, group = facts.user.partition(":")
    if name in ("", "root") or uid == 0:
        yield Finding(f"the user is root (USER {facts.user or 'not set'})", measured=facts.user)
    elif group == "root" or gid == 0:
        yield Finding(f"the group is root (USER {facts.user})", measured=facts.user)
    elif None not in (uid, gid) and (uid, gid) != (terms.uid, terms.gid):
        yield Finding(
            f"the user is {facts.user}, not {terms.user}", measured=facts.user, bound=terms.user
        )


@check(
    "user.numeric",
    "image",
    title="User and group are numbers",
    why="Whoever runs the image can only know that a name is not root by reading the image's own "
    "/etc/passwd: Kubernetes' runAsNonRoot refuses names.",
    remedy="Write USER as uid:gid in numbers.",
    reference="https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
)
def numeric(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail unless USER is uid:gid in digits; whether it is root is asked by user.nonroot."""
    if not re.fullmatch(r"[0-9]+:[0-9]+", facts.user) and not any(nonroot(terms, facts)):
        yield Finding(f"USER {facts.user} is not numeric uid:gid", measured=facts.user)


# Shells that let nobody in: nologin(8), false(1). None at all means /bin/sh (passwd(5)).
NO_LOGIN = frozenset({"nologin", "false"})


@check(
    "user.accounts",
    "image",
    title="No account is open, doubled or made for logging in",
    why="An empty password opens an account to whoever gets a shell; two accounts of one number "
    "are one user, though each looks harmless; the program's user has no use for a login.",
    remedy="Copy an /etc/passwd of your own (see ops/dockerfiles/base/rootfs), or `usermod -s "
    "/usr/sbin/nologin`; lock passwords with `!` or `*`.",
    reference="passwd(5), shadow(5); CIS Debian Linux 12 Benchmark 7.2",
)
def open_accounts(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for empty passwords, doubled numbers, and a login shell of the run user."""
    found = accounts_of(facts)
    for path in found.unread:
        yield Finding(f"/{path} could not be read", file=f"/{path}", unknown=True)
    for name, path in sorted(set(found.open())):
        yield Finding(f"the account {name} has an empty password", file=f"/{path}")
    yield from _doubled("uid", PASSWD, [(user.name, user.uid) for user in found.users])
    yield from _doubled("gid", GROUP, found.groups)
    for account in found.users:
        shell = account.shell or "/bin/sh"
        if account.uid == terms.uid and shell.rpartition("/")[2] not in NO_LOGIN:
            yield Finding(
                f"the account {account.name}, which runs the program, has the login shell {shell}",
                file=f"/{PASSWD}",
                measured=shell,
            )


def _doubled(what: str, path: str, numbers: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    names = defaultdict(list)
    for name, number in numbers:
        names[number].append(name)
    for number, doubled in sorted(names.items()):
        if len(doubled) > 1:
            yield Finding(
                f"{' and '.join(doubled)} are one: the {what} {number} is there twice",
                file=f"/{path}",
                measured=number,
            )
