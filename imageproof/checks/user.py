"""user.*: the user of the image's configuration, and the accounts of the image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.accounts import GROUP, PASSWD, read_accounts

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

# Shells that refuse a login: nologin(8), false(1). No shell means /bin/sh (passwd(5)).
NO_LOGIN_SHELLS = frozenset({"nologin", "false"})


@check(
    "user.nonroot",
    "image",
    title="The configured user is the contract's, and not root",
    why="To a bug in the kernel, in the engine or in a mount, root in a container is root on the "
    "host. `USER 0:0` is root as much as a missing USER.",
    remedy="End the Dockerfile's last stage with `USER 10001:10001`: the contract's uid and gid.",
    reference="CIS Docker Benchmark 4.1; "
    "https://docs.docker.com/build/building/best-practices/#user",
)
def nonroot(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for root in any spelling, and for a user other than the contract's.

    A name is looked up in the image's accounts. One that is not there is left to user.numeric.
    """
    uid, gid = read_accounts(facts).run_as(facts.user)
    name, _, group = facts.user.partition(":")
    if name in ("", "root") or uid == 0:
        problem = f"the user is root (USER {facts.user or 'not set'})"
    elif group == "root" or gid == 0:
        problem = f"the group is root (USER {facts.user})"
    elif None not in (uid, gid) and (uid, gid) != (contract.uid, contract.gid):
        problem = f"the user is {facts.user}"
    else:
        return
    message = f"{problem}, the contract's is {contract.user}"
    yield Finding(message, measured=facts.user, bound=contract.user)


@check(
    "user.numeric",
    "image",
    title="User and group are numbers",
    why="Only the image's /etc/passwd shows that a named user is not root. Kubernetes' "
    "runAsNonRoot refuses names.",
    remedy="Write USER as uid:gid in numbers.",
    reference="https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
)
def numeric(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail unless USER is uid:gid in digits; user.nonroot reports root."""
    if not re.fullmatch(r"[0-9]+:[0-9]+", facts.user) and not any(nonroot(contract, facts)):
        yield Finding(
            f"USER is {facts.user}, expected numbers: {contract.user}",
            measured=facts.user,
            bound=contract.user,
        )


@check(
    "user.accounts",
    "image",
    title="No account has an empty password, a duplicate id or a needless login shell",
    why="An account with an empty password is open to everyone with a shell. Two accounts with one "
    "id are the same user. The service's user never logs in.",
    remedy="Copy an /etc/passwd of your own (see ops/dockerfiles/base/rootfs), or `usermod -s "
    "/usr/sbin/nologin`; lock passwords with `!` or `*`.",
    reference="passwd(5), shadow(5); CIS Debian Linux 12 Benchmark 7.2",
)
def accounts(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for empty passwords, duplicate ids, and a login shell of the service's user."""
    image_accounts = read_accounts(facts)
    for path in image_accounts.unread:
        yield Finding(f"/{path} could not be read", file=f"/{path}", unknown=True)
    for name, path in sorted(set(image_accounts.without_password())):
        yield Finding(f"the account {name} has an empty password", file=f"/{path}")
    users = image_accounts.users
    yield from _duplicates("uid", PASSWD, [(user.name, user.uid) for user in users])
    yield from _duplicates("gid", GROUP, image_accounts.groups)
    for user in users:
        shell = user.shell or "/bin/sh"
        if user.uid == contract.uid and shell.rpartition("/")[2] not in NO_LOGIN_SHELLS:
            yield Finding(
                f"{user.name}, the user of the service, has the login shell {shell}, expected "
                "/usr/sbin/nologin",
                file=f"/{PASSWD}",
                measured=shell,
                bound="/usr/sbin/nologin",
            )


def _duplicates(kind: str, path: str, ids: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    names_by_id = defaultdict(list)
    for name, number in ids:
        names_by_id[number].append(name)
    for number, names in sorted(names_by_id.items()):
        if len(names) > 1:
            message = f"{' and '.join(names)} have the same {kind} {number}"
            yield Finding(message, file=f"/{path}", measured=number)
