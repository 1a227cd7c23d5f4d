"""A walk over a container's files, that tries as its own user what can be written.

It runs in the probe (imageproof/runtime/probe.py): nothing but the standard library of Python 3.9.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# File systems that hold no files: what is written there is not written to the container.
KERNEL = frozenset(
    {
        *("proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "bpf", "autofs"),
        *("debugfs", "tracefs", "securityfs", "configfs", "pstore", "efivarfs", "binfmt_misc"),
    }
)
# The engine's own; its shared memory is tried nevertheless.
NOT_WALKED = frozenset({"/proc", "/sys", "/dev"})
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the container's own, of its engine
MOST_ENTRIES = 500_000
MOST_PATHS = 200
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def text(raw: bytes) -> str:
    """Bytes of somebody else's making, as text that JSON and a terminal can take."""
    return raw.decode("utf-8", "backslashreplace")


def mounts(proc: Path) -> dict[str, str]:
    """Each mount point of the container, and its file system (proc(5): mountinfo)."""
    found = {}
    for line in text((proc / "1/mountinfo").read_bytes()).splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        found[point] = fields[fields.index("-") + 1]
    return found


def writes(
    proc: Path, status: Mapping[str, str], writable: list[str], seconds: float, throwaway: bool
) -> dict[str, Any]:
    """What the process of that status could write in the container, found by trying.

    Nothing is tried below `writable`, where writes are expected, nor below a folder that takes
    one, which says enough. A container that is a `throwaway` may be touched; of another one no
    file and no folder of its image is.
    """
    kernel = {point for point, kind in mounts(proc).items() if kind in KERNEL}
    above = os.open(proc / "1/root", os.O_PATH | os.O_CLOEXEC)
    root = os.open(".", os.O_RDONLY | FOLDER, dir_fd=above)
    try:
        walk = Walk(root, status, throwaway)
        walk.go(NOT_WALKED | kernel, frozenset(writable), seconds)
        return walk.answer()
    finally:
        os.close(root)
        os.close(above)


class Walk:
    """Tries to write everywhere below an open folder, as another user, and writes nothing."""

    def __init__(self, root: int, status: Mapping[str, str], throwaway: bool) -> None:
        self.root = root
        self.uid, self.gid = (int(status[ids].split()[1]) for ids in ("Uid", "Gid"))
        self.groups = [*map(int, status.get("Groups", "").split())]
        self.name = f".ops-probe-{os.urandom(8).hex()}"
        self.paths: list[str] = []
        self.tried = 0
        self.cut = ""
        self.read_only = bool(os.fstatvfs(root).f_flag & os.ST_RDONLY)
        # To open a file of the image for writing copies it into the container's own layer:
        # where that could be, the kernel is only asked.
        careful = not throwaway and not self.read_only
        self.untouched = os.fstat(root).st_dev if careful else None

    def answer(self) -> dict[str, Any]:
        """What was found."""
        return {
            "user": f"{self.uid}:{self.gid}",
            "read_only": self.read_only,
            "paths": sorted(self.paths),
            "tried": self.tried,
            "cut": self.cut,
        }

    def go(self, skipped: frozenset[str], shallow: frozenset[str], seconds: float) -> None:
        """Try every folder and file, but nothing of `skipped`, and nothing below `shallow`."""
        until = time.monotonic() + seconds
        folders = [SHARED_MEMORY, "/"]
        with self._become():
            while folders and not self.cut:
                path = folders.pop()
                try:
                    below = self._folder(path, shallow)
                except OSError as error:
                    # Where the user cannot get, nothing below is to be had either.
                    if error.errno == errno.ENAMETOOLONG:
                        self.cut = "some paths are too long to be tried"
                    continue
                folders += [folder for folder in below if folder not in skipped]
                if self.tried > MOST_ENTRIES or time.monotonic() > until:
                    self.cut = f"there was no end after {self.tried} files and folders"

    @contextlib.contextmanager
    def _become(self) -> Iterator[None]:
        """Be that user for the kernel; root's capabilities are away meanwhile (user ids by
        seteuid(2): processes of the service may not signal or trace what root can become)."""
        before = os.geteuid(), os.getegid(), os.getgroups()
        if before[0] == 0:
            os.setgroups(self.groups)
            os.setegid(self.gid)
            os.seteuid(self.uid)
        try:
            yield
        finally:
            if before[0] == 0:
                os.seteuid(0)
                os.setegid(before[1])
                os.setgroups(before[2])

    def _folder(self, path: str, shallow: frozenset[str]) -> list[str]:
        """Try a folder and the files in it; the folders in it, to go on with."""
        os.close(os.open(f".{path}", FOLDER | os.O_PATH, dir_fd=self.root))
        folder = self._listed(path)
        try:
            touch = os.fstat(folder).st_dev != self.untouched
            self.tried += 1
            if self._creates(folder, touch):
                self._take(path)  # and that says it of all that is in it
                return []
            if path in shallow:
                return []
            below = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    whole = f"{path.rstrip('/')}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        below.append(whole)
                    elif entry.is_file(follow_symlinks=False) and whole not in shallow:
                        self.tried += 1
                        if self._opens(folder, entry.name, touch):
                            self._take(whole)
            return below
        finally:
            os.close(folder)

    def _listed(self, path: str) -> int:
        """A folder, open to be listed: by root where the user may enter it only."""
        try:
            return os.open(f".{path}", os.O_RDONLY | FOLDER, dir_fd=self.root)
        except PermissionError:
            os.seteuid(0)
            try:
                return os.open(f".{path}", os.O_RDONLY | FOLDER, dir_fd=self.root)
            finally:
                os.seteuid(self.uid)

    def _creates(self, folder: int, touch: bool) -> bool:
        """Whether a file can be made there; it is removed at once."""
        if not touch:
            return os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        try:
            made = os.open(self.name, flags, 0o600, dir_fd=folder)
        except OSError:
            return False
        os.close(made)
        os.unlink(self.name, dir_fd=folder)
        return True

    def _opens(self, folder: int, name: str, touch: bool) -> bool:
        """Whether a file opens for writing; it is not written."""
        if touch:
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                os.close(os.open(name, flags, dir_fd=folder))
            except OSError as error:
                if error.errno != errno.ETXTBSY:  # it runs: whether it could be is asked
                    return False
            else:
                return True
        return os.access(name, os.W_OK, dir_fd=folder, effective_ids=True, follow_symlinks=False)

    def _take(self, path: str) -> None:
        if len(self.paths) == MOST_PATHS:
            self.cut = f"more than {MOST_PATHS} files and folders take writes"
        else:
            self.paths.append(text(os.fsencode(path)))
