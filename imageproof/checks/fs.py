"""The files of an image: who may change them, and what they may make of whoever runs them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check, named
from imageproof.image.accounts import GROUP, PASSWD, accounts_of

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

SETUID, SETGID, STICKY = 0o4000, 0o2000, 0o1000
CAPABILITY = "security.capability"  # xattr(7)
# Where every system lets everybody write, each his own (FHS 3.0; hier(7)).
SHARED = frozenset({"tmp", "var/tmp", "run/lock", "var/lock", "dev/shm", "dev/mqueue"})

Files = dict[str, tuple["File", "Layer"]]


def _finding(found: Files, what: str) -> Iterator[Finding]:
    """One finding a layer, which names the first few paths."""
    layers: dict[str, list[str]] = defaultdict(list)
    for path, (_, layer) in found.items():
        layers[layer.diff_id].append(path)
    for paths in layers.values():
        layer = found[paths[0]][1]
        yield Finding(
            f"{named(paths)}: {what}",
            file=f"/{min(paths)}",
            layer=layer.diff_id,
            instruction=layer.instruction,
            measured=len(paths),
        )


def below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these folders, or in one of them."""
    names = (folder.strip("/") for folder in folders)
    return any(not name or path == name or path.startswith(f"{name}/") for name in names)


@check(
    "fs.setuid",
    "image",
    title="No program takes on its owner's or group's rights",
    why="A setuid program makes whoever runs it somebody else, root for the most part: the classic "
    "step from a hole in a service to the whole container.",
    remedy="`chmod a-s` it in the step that brings it, or leave its package out.",
    reference="CIS Docker Benchmark 4.8; inode(7)",
)
def setuid(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each file with the setuid or setgid bit; on a folder setgid gives no rights."""
    found = {
        path: entry
        for path, entry in facts.files.items()
        if entry[0].kind in ("file", "hardlink") and entry[0].mode & (SETUID | SETGID)
    }
    yield from _finding(found, "setuid or setgid")


@check(
    "fs.file-capabilities",
    "image",
    title="No program carries capabilities",
    why="A file capability gives rights of root to whoever runs the file, as setuid does, and no "
    "`ls` shows it.",
    remedy="`setcap -r` it, or copy it without extended attributes; listen above port 1023.",
    reference="capabilities(7): file capabilities; xattr(7)",
)
def file_capabilities(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each file with the attribute security.capability."""
    found = {path: e for path, e in facts.files.items() if CAPABILITY in e[0].xattrs}
    yield from _finding(found, "file capabilities")


@check(
    "fs.world-writable",
    "image",
    title="Nothing may be written by everybody",
    why="Where everybody may write, a program that was broken into can leave what another one, or "
    "the next start, will run.",
    remedy="`chmod o-w` it, or COPY --chmod; a shared folder has the sticky bit (1777).",
    reference="inode(7); CIS Debian Linux 12 Benchmark 7.1.11",
)
def world_writable(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for files, and for folders that are neither sticky nor meant to be written."""
    found = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.mode & 0o002 and file.kind in ("file", "folder", "hardlink")
        if not (_shared(path, terms) and (file.kind == "folder" and file.mode & STICKY))
    }
    yield from _finding(found, "everybody may write it")


def _shared(path: str, terms: ServiceContract) -> bool:
    return path in SHARED or below(path, terms.writable)


@check(
    "fs.app-immutable",
    "image",
    title="The program's user can change nothing in the image",
    why="A service that can write its own code or interpreter keeps what an intruder put there; a "
    "read-only root is one flag, and a flag may be missing.",
    remedy="COPY without --chown: root owns what ships. Name what must be written in `writable`, and "
    "mount a tmpfs or volume there.",
    reference="https://docs.docker.com/build/building/best-practices/#user; chmod(2): owners may",
)
def app_immutable(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for whatever the run user owns or its group may write, beyond `writable`."""
    found = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.kind in ("file", "folder", "hardlink")
        and not file.mode & 0o002  # that is told by fs.world-writable
        and not below(path, terms.writable)
        # The owner of a file can give himself the right to write it.
        if file.uid == terms.uid or (file.gid == terms.gid and file.mode & 0o020)
    }
    yield from _finding(found, f"the user {terms.user} may change it")


@check(
    "fs.orphans",
    "image",
    title="Every file belongs to an account of the image",
    why="A number that is nobody now is somebody later: the next account that is given it owns the "
    "file. It shows as well that a build ran with ids of its own machine.",
    remedy="COPY --chown=0:0, or add the account to /etc/passwd.",
    reference="CIS Debian Linux 12 Benchmark 7.1.12",
)
def orphans(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for files of a uid or gid without account; root's and the run user's need none."""
    accounts = accounts_of(facts)
    for path in set(accounts.unread) & {PASSWD, GROUP}:
        yield Finding(f"/{path} could not be read", file=f"/{path}", unknown=True)
        return
    users = {terms.uid, 0, *(user.uid for user in accounts.users)}
    groups = {terms.gid, 0, *(gid for _, gid in accounts.groups)}
    found = {
        path: (file, layer)
        for path, (file, layer) in facts.files.items()
        if file.uid not in users or file.gid not in groups
    }
    yield from _finding(found, "its owner or group is no account")


@check(
    "fs.entries",
    "image",
    title="No layer holds what no honest builder writes",
    why="A path that leads out of its folder, a name that steers a terminal, a file that is there "
    "twice: each tool reads them in another way, and that is what they are for.",
    remedy="Do not run it; build it anew from its Dockerfile.",
    reference="OCI image spec, layer.md; CWE-22, CWE-150",
)
def entries(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each anomaly that was met while the layers were read."""
    for layer in facts.layers:
        for anomaly in layer.anomalies:
            yield Finding(anomaly, layer=layer.diff_id, instruction=layer.instruction)
