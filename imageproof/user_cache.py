"""This user's cache folder of a project, outside the repository.

Cached facts and results stand in for checks, so a cache that another person wrote could bring its
own verdict: a pull request that commits one, another user, a link. Only folders and files of this
user that no one else can write are used. Without such a folder nothing is cached.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from imageproof import console
from imageproof.errors import MachineError

NAME = "imageproof"
MAX_AGE_SECONDS = 30 * 24 * 3600  # older files are removed: of old images, of removed projects
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class _Unusable(Exception):
    """The reason why there is no cache."""


def open_folder(root: Path) -> Path | None:
    """Return the cache folder of the project in `root`, and create it if needed.

    Return None if there is no folder that only this user can write; the reason is printed once.
    """
    try:
        return _open(root.resolve())
    except OSError as error:
        _report(f"{error.filename}: {error.strerror}")
    except _Unusable as error:
        _report(str(error))
    return None


def remove_folder(root: Path) -> None:
    """Remove the cache folder of the project in `root`."""
    if folder := open_folder(root):
        shutil.rmtree(folder, ignore_errors=True)


def locks_folder() -> Path:
    """Return the folder of lock files, apart from the caches, whose old files are removed.

    It is beside the caches. A user without such a place, as in a container with a made-up uid, has
    one in the folder of temporary files.

    Raises:
        MachineError: there is no folder that only this user can write.
    """
    try:
        folder = _base() / f"{NAME}-locks"
        if not folder.exists():
            _require_own_place(folder)
        _make_own_folder(folder)
    except (OSError, _Unusable):
        folder = Path(tempfile.gettempdir(), f"{NAME}-locks-{os.geteuid()}")
        try:
            _make_own_folder(folder)
        except (OSError, _Unusable) as error:
            reason = f"{folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
            hint = "set XDG_CACHE_HOME to a folder of your own on this machine"
            raise MachineError("locking the project", reason, hint=hint) from error
    return folder


def read_file(path: Path) -> bytes | None:
    """Return a cache file's content; None if it is missing, a link, or others may write it."""
    try:
        # Not blocking: a pipe in place of the file would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and _is_own(status):
                return file.read()
    except OSError:
        pass
    return None


def _open(root: Path) -> Path:
    home = _base() / NAME
    for repository in (root, *(p for p in root.parents if (p / ".git").exists())):
        if home.is_relative_to(repository):
            raise _Unusable(f"{home} is inside the repository {repository}; set XDG_CACHE_HOME")
    if not home.exists():
        _require_own_place(home)
    folder = home / hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
    _make_own_folder(home)
    _make_own_folder(folder)
    _remove_old_files(home)
    return folder


def _base() -> Path:
    """Return the folder of all caches (XDG base directory specification)."""
    for variable, below in (("XDG_CACHE_HOME", ""), ("HOME", ".cache")):
        value = os.environ.get(variable, "")
        if value.startswith("/"):  # others are ignored, as the specification says
            return Path(value, below).resolve()
    raise _Unusable("HOME and XDG_CACHE_HOME are not set")


def _require_own_place(home: Path) -> None:
    """Refuse to create a folder in another user's: `sudo` may keep the caller's HOME."""
    place = next(parent for parent in home.parents if parent.exists())
    if place.stat().st_uid != os.geteuid():
        raise _Unusable(f"{place} belongs to another user")


def _make_own_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_own_folder(path)


def _require_own_folder(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise _Unusable(f"{path} is not a folder")
    if not _is_own(status):
        raise _Unusable(f"{path} belongs to another user, or others may write it")


def _is_own(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


@functools.cache
def _remove_old_files(home: Path) -> None:
    """Remove the old files of all projects, once a run."""
    oldest = time.time() - MAX_AGE_SECONDS
    for path in home.glob("*/*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < oldest:
                path.unlink()
                path.parent.rmdir()  # fails unless it was the last file


@functools.cache
def _report(reason: str) -> None:
    console.warn(f"nothing is cached: {reason}")
