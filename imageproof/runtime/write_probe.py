"""The write probe: a walk over a container's files that tries, as its user, to write each one.

It runs in the probe's container (see probe.py): standard library of Python 3.9 only.
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

# File systems of the kernel: a write there does not go to the container's files.
KERNEL_FILE_SYSTEMS = frozenset(
    {
        *("proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "bpf", "autofs"),
        *("debugfs", "tracefs", "securityfs", "configfs", "pstore", "efivarfs", "binfmt_misc"),
    }
)
# The engine mounts these folders. Below them only the shared memory is tried.
SKIPPED = frozenset({"/proc", "/sys", "/dev"})
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a path in the container
MAX_ENTRIES = 500_000
MAX_PATHS = 200
FOLDER_FLAGS = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def to_text(raw: bytes) -> str:
    """Return bytes of unknown encoding as text that JSON accepts."""
    return raw.decode("utf-8", "backslashreplace")


def read_mounts(proc: Path) -> dict[str, str]:
    """Return the file system type of each mount point of the container (proc(5): mountinfo)."""
    types = {}
    for line in to_text((proc / "1/mountinfo").read_bytes()).splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        types[point] = fields[fields.index("-") + 1]
    return types


def try_writes(
    proc: Path, status: Mapping[str, str], writable: list[str], seconds: float, throwaway: bool
) -> dict[str, Any]:
    """Return what the user of a process could write in the container.

    Nothing is tried below a folder that the user can write.

    Args:
        proc: The folder /proc of the container's pid namespace.
        status: The process's /proc/PID/status.
        writable: Paths below which the contract allows writes; nothing is tried there.
        seconds: Time limit of the walk.
        throwaway: The container is a throwaway. Otherwise no file or folder of its image is
            opened for writing.
    """
    kernel = {point for point, type_ in read_mounts(proc).items() if type_ in KERNEL_FILE_SYSTEMS}
    # In two steps: /proc/1/root is a link, which FOLDER_FLAGS do not follow.
    link_target = os.open(proc / "1/root", os.O_PATH | os.O_CLOEXEC)
    root = os.open(".", os.O_RDONLY | FOLDER_FLAGS, dir_fd=link_target)
    try:
        walk = Walk(root, status, throwaway)
        walk.run(SKIPPED | kernel, frozenset(writable), seconds)
        return walk.result()
    finally:
        os.close(root)
        os.close(link_target)


class Walk:
    """A walk over the files below an open folder, as another user. It leaves no file behind."""

    def __init__(self, root: int, status: Mapping[str, str], throwaway: bool) -> None:
        self.root = root
        self.uid, self.gid = (int(status[ids].split()[1]) for ids in ("Uid", "Gid"))
        self.groups = [*map(int, status.get("Groups", "").split())]
        self.temporary_name = f".imageproof-probe-{os.urandom(8).hex()}"
        self.paths: list[str] = []
        self.tried = 0
        self.incomplete = ""
        self.read_only = bool(os.fstatvfs(root).f_flag & os.ST_RDONLY)
        # Opening a file of the image for writing copies it into the container's own layer. So only
        # access(2) is called on the image's device.
        access_only = not throwaway and not self.read_only
        self.access_only_device = os.fstat(root).st_dev if access_only else None

    def result(self) -> dict[str, Any]:
        """Return the fields of `probe_client.Writes`."""
        return {
            "user": f"{self.uid}:{self.gid}",
            "read_only": self.read_only,
            "paths": sorted(self.paths),
            "tried": self.tried,
            "incomplete": self.incomplete,
        }

    def run(self, skipped: frozenset[str], writable: frozenset[str], seconds: float) -> None:
        """Try all folders and files, except `skipped` folders and those below `writable`."""
        deadline = time.monotonic() + seconds
        folders = [SHARED_MEMORY, "/"]
        with self._as_user():
            while folders and not self.incomplete:
                path = folders.pop()
                try:
                    subfolders = self._try_folder(path, writable)
                except OSError as error:
                    # The user cannot enter this folder, so nothing below it can be written.
                    if error.errno == errno.ENAMETOOLONG:
                        self.incomplete = "some paths are too long to be tried"
                    continue
                folders += [folder for folder in subfolders if folder not in skipped]
                if self.tried > MAX_ENTRIES or time.monotonic() > deadline:
                    self.incomplete = f"stopped after {self.tried} files and folders"

    @contextlib.contextmanager
    def _as_user(self) -> Iterator[None]:
        """Become the user, without root's capabilities; become root again at the end.

        seteuid(2) changes only the effective id, so the service's processes may not signal or
        trace this one.
        """
        own_uid, own_gid, own_groups = os.geteuid(), os.getegid(), os.getgroups()
        if own_uid == 0:
            os.setgroups(self.groups)
            os.setegid(self.gid)
            os.seteuid(self.uid)
        try:
            yield
        finally:
            if own_uid == 0:
                os.seteuid(0)
                os.setegid(own_gid)
                os.setgroups(own_groups)

    def _try_folder(self, path: str, writable: frozenset[str]) -> list[str]:
        """Try a folder and its files; return its subfolders."""
        # Raises an OSError if the user cannot reach the folder: _open_folder could, as root.
        os.close(os.open(f".{path}", FOLDER_FLAGS | os.O_PATH, dir_fd=self.root))
        folder = self._open_folder(path)
        try:
            access_only = os.fstat(folder).st_dev == self.access_only_device
            self.tried += 1
            if self._can_create(folder, access_only):
                self._add(path)
                return []
            if path in writable:
                return []
            subfolders = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    entry_path = f"{path.rstrip('/')}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        subfolders.append(entry_path)
                    elif entry.is_file(follow_symlinks=False) and entry_path not in writable:
                        self.tried += 1
                        if self._can_open(folder, entry.name, access_only):
                            self._add(entry_path)
            return subfolders
        finally:
            os.close(folder)

    def _open_folder(self, path: str) -> int:
        """Open a folder to list it: as root, if the user may enter it but not list it."""
        try:
            return os.open(f".{path}", os.O_RDONLY | FOLDER_FLAGS, dir_fd=self.root)
        except PermissionError:
            os.seteuid(0)
            try:
                return os.open(f".{path}", os.O_RDONLY | FOLDER_FLAGS, dir_fd=self.root)
            finally:
                os.seteuid(self.uid)

    def _can_create(self, folder: int, access_only: bool) -> bool:
        """Return whether a file can be created; it is removed at once."""
        if access_only:
            return os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        try:
            created = os.open(self.temporary_name, flags, 0o600, dir_fd=folder)
        except OSError:
            return False
        os.close(created)
        os.unlink(self.temporary_name, dir_fd=folder)
        return True

    def _can_open(self, folder: int, name: str, access_only: bool) -> bool:
        """Return whether a file can be opened for writing; nothing is written."""
        if not access_only:
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                os.close(os.open(name, flags, dir_fd=folder))
            except OSError as error:
                if error.errno != errno.ETXTBSY:  # a running program: call access(2)
                    return False
            else:
                return True
        return os.access(name, os.W_OK, dir_fd=folder, effective_ids=True, follow_symlinks=False)

    def _add(self, path: str) -> None:
        if len(self.paths) == MAX_PATHS:
            self.incomplete = f"more than {MAX_PATHS} files and folders take writes"
        else:
            self.paths.append(to_text(os.fsencode(path)))
