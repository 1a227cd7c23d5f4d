"""fs.*: owners, permissions and names of the files in an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import SHARED_FOLDERS, findings_by_layer, is_below
from imageproof.image.accounts import GROUP, PASSWD, read_accounts

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

SETUID, SETGID, STICKY, OTHERS_WRITE, GROUP_WRITE = 0o4000, 0o2000, 0o1000, 0o002, 0o020
CAPABILITY = "security.capability"  # xattr(7)


@check(
    "fs.setuid",
    "image",
    title="No file has the setuid or setgid bit",
    why="A setuid program runs as its owner, mostly root, for every user. It is a classic step "
    "from a vulnerability in a service to the whole container.",
    remedy="`chmod a-s` the file in the step that brings it, or leave its package out.",
    reference="CIS Docker Benchmark 4.8; inode(7)",
)
def setuid(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each file with the setuid or setgid bit; a folder's setgid bit gives no rights."""
    entries = {
        path: entry
        for path, entry in facts.files.items()
        if entry[0].kind in ("file", "hardlink") and entry[0].mode & (SETUID | SETGID)
    }
    yield from findings_by_layer(entries, "setuid or setgid")


@check(
    "fs.file-capabilities",
    "image",
    title="No file has capabilities",
    why="A file capability gives rights of root to every user of the program, as setuid does, and "
    "`ls` does not show it.",
    remedy="`setcap -r` the file, or copy it without extended attributes; listen above port 1023.",
    reference="capabilities(7): file capabilities; xattr(7)",
)
def file_capabilities(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each file with the attribute security.capability."""
    entries = {path: e for path, e in facts.files.items() if CAPABILITY in e[0].xattrs}
    yield from findings_by_layer(entries, "file capabilities")


@check(
    "fs.world-writable",
    "image",
    title="No file or folder is writable by everyone",
    why="An intruder can put code into a world-writable file or folder that another program, or "
    "the next start, runs.",
    remedy="`chmod o-w` it, or use COPY --chmod; give a shared folder the sticky bit (1777).",
    reference="inode(7); CIS Debian Linux 12 Benchmark 7.1.11",
)
def world_writable(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for world-writable files and folders, except sticky folders that are meant for that."""
    entries = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.mode & OTHERS_WRITE and file.kind in ("file", "folder", "hardlink")
        if not (_is_shared(path, contract) and file.kind == "folder" and file.mode & STICKY)
    }
    yield from findings_by_layer(entries, "writable by everyone")


def _is_shared(path: str, contract: ServiceContract) -> bool:
    return path in SHARED_FOLDERS or is_below(path, contract.writable)


@check(
    "fs.app-immutable",
    "image",
    title="The service's user can change no file of the image",
    why="A service that can write its own code or interpreter keeps an intruder's changes. A "
    "read-only root prevents that only until its flag is lost.",
    remedy="COPY without --chown, so that root owns the files. Name what must be writable in "
    "`writable`, and mount a tmpfs or volume there.",
    reference="https://docs.docker.com/build/building/best-practices/#user; chmod(2): owners may",
)
def app_immutable(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for everything that the user owns or its group may write, outside of `writable`.

    An owner can give themselves the right to write. fs.world-writable reports files that everyone
    may write.
    """
    entries = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.kind in ("file", "folder", "hardlink")
        and not file.mode & OTHERS_WRITE
        and not is_below(path, contract.writable)
        and (file.uid == contract.uid or (file.gid == contract.gid and file.mode & GROUP_WRITE))
    }
    yield from findings_by_layer(entries, f"the user {contract.user} can change")


@check(
    "fs.orphans",
    "image",
    title="Every file belongs to an account of the image",
    why="If an account gets this number later, it owns the file. Such a file also shows that the "
    "build used ids of its own machine.",
    remedy="COPY --chown=0:0, or add the account to /etc/passwd.",
    reference="CIS Debian Linux 12 Benchmark 7.1.12",
)
def orphans(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for files whose uid or gid has no account; root and the service's user need none."""
    accounts = read_accounts(facts)
    for path in set(accounts.unread) & {PASSWD, GROUP}:
        yield Finding(f"/{path} could not be read", file=f"/{path}", unknown=True)
        return
    uids = {contract.uid, 0, *(user.uid for user in accounts.users)}
    gids = {contract.gid, 0, *(gid for _, gid in accounts.groups)}
    entries = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.uid not in uids or file.gid not in gids
    }
    yield from findings_by_layer(entries, "owner or group without an account")


@check(
    "fs.entries",
    "image",
    title="No layer has a malformed or deceptive entry",
    why="Tools read such entries in different ways: a path that leads out of its folder, a name "
    "with terminal control characters, a file that is there twice. Attackers rely on that.",
    remedy="Do not run the image; build it again from its Dockerfile.",
    reference="OCI image spec, layer.md; CWE-22, CWE-150",
)
def entries(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each anomaly that the layer reader met."""
    for layer in facts.layers:
        for anomaly in layer.anomalies:
            yield Finding(anomaly, layer=layer.diff_id, instruction=layer.instruction)
