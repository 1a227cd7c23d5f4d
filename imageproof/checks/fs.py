"""fs.*: owners, permissions and names of the files in an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import SHARED_FOLDERS, findings_by_layer, is_within
from imageproof.image.accounts import GROUP, PASSWD, read_accounts

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts

SETUID, SETGID, STICKY, OTHERS_WRITE, GROUP_WRITE = 0o4000, 0o2000, 0o1000, 0o002, 0o020
CAPABILITY_ATTRIBUTE = "security.capability"  # xattr(7)


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
    privileged = {
        path: entry
        for path, entry in facts.files.items()
        if entry.file.kind in ("file", "hardlink") and entry.file.mode & (SETUID | SETGID)
    }
    yield from findings_by_layer(privileged, "setuid or setgid")


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
    capable = {
        path: entry
        for path, entry in facts.files.items()
        if CAPABILITY_ATTRIBUTE in entry.file.xattrs
    }
    yield from findings_by_layer(capable, "file capabilities")


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
    """Fail for each file and folder that everyone may write, except shared folders."""
    writable = {
        path: entry
        for path, entry in facts.files.items()
        if entry.file.mode & OTHERS_WRITE and entry.file.kind in ("file", "folder", "hardlink")
        if not _is_shared_folder(entry.file, contract)
    }
    yield from findings_by_layer(writable, "writable by everyone")


def _is_shared_folder(file: File, contract: ServiceContract) -> bool:
    """Return whether it is a sticky folder of the system, such as /tmp, or of `writable`."""
    is_sticky = file.kind == "folder" and bool(file.mode & STICKY)
    return is_sticky and (file.path in SHARED_FOLDERS or is_within(file.path, contract.writable))


@check(
    "fs.app-immutable",
    "image",
    title="The service's user can change no file of the image",
    why="An intruder in a service that can write its own code or interpreter changes it for good. "
    "A read-only root prevents that, but one lost line in the compose file ends the protection.",
    remedy="COPY without --chown, so that root owns the files. Name what must be writable in "
    "`writable`, and mount a tmpfs or volume there.",
    reference="https://docs.docker.com/build/building/best-practices/#user; chmod(2)",
)
def app_immutable(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each file that the user owns or its group may write, outside of `writable`.

    An owner without the right to write can take it by chmod. fs.world-writable reports files that
    everyone may write.
    """
    changeable = {
        path: entry
        for path, entry in facts.files.items()
        if entry.file.kind in ("file", "folder", "hardlink")
        and not entry.file.mode & OTHERS_WRITE
        and not is_within(path, contract.writable)
        and (
            entry.file.uid == contract.uid
            or (entry.file.gid == contract.gid and entry.file.mode & GROUP_WRITE)
        )
    }
    yield from findings_by_layer(changeable, f"the user {contract.user} can change")


@check(
    "fs.orphans",
    "image",
    title="Every file belongs to an account of the image",
    why="A later account with the same number would own the file. An unknown number often comes "
    "from the machine that built the image.",
    remedy="COPY --chown=0:0, or add the account to /etc/passwd.",
    reference="CIS Debian Linux 12 Benchmark 7.1.12",
)
def orphans(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for files whose uid or gid has no account; root and the service's user need none."""
    accounts = read_accounts(facts)
    unread = [path for path in (PASSWD, GROUP) if path in accounts.unread]
    if unread:  # any number might have an account there
        yield Finding(f"/{unread[0]} could not be read", file=f"/{unread[0]}", unknown=True)
        return
    uids = {contract.uid, 0, *(user.uid for user in accounts.users)}
    gids = {contract.gid, 0, *(gid for _, gid in accounts.groups)}
    orphaned = {
        path: entry
        for path, entry in facts.files.items()
        if entry.file.uid not in uids or entry.file.gid not in gids
    }
    yield from findings_by_layer(orphaned, "owner or group without an account")


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
    """Fail for each anomaly that the layer reader found."""
    for layer in facts.layers:
        for anomaly in layer.anomalies:
            yield Finding(anomaly, layer=layer.diff_id, instruction=layer.instruction)
