"""One lock a compose project: commands that change its images or its stack take turns.

The lock is the kernel's (flock), on a file in the user's cache folder, so it ends with the process
that holds it. The file is named after the project and the engine: clones with one project name
share it. Its lines only name the holders, for the message to those that wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import MachineError, ProjectBusy
from imageproof.signals import pause
from imageproof.user_cache import locks_folder

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

POLL_SECONDS = 0.2  # polled, so that a signal ends the wait in every thread
_HOLDER = re.compile(r"(?P<pid>\d+) (?P<since>\d\d:\d\d) (?P<command>[a-z-]+)")
_ENDED = re.compile(r"(?P<pid>\d+) ended")


@contextlib.contextmanager
def project_lock(
    engine: Engine, command: str, *, shared: bool = False, wait: bool = True
) -> Iterator[None]:
    """Hold the project's lock while the block runs. It cannot be taken twice by one command.

    Args:
        engine: the engine with the project.
        command: name of the command, such as `up`, for the messages of others.
        shared: let other shared holders in, for a command that only reads.
        wait: wait for the present holder, and name it once.

    Raises:
        ProjectBusy: another command holds the lock, and `wait` is false.
        EngineUnavailable: the engine does not answer.
    """
    path = _lock_file(engine)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with _open(path) as descriptor:
        _acquire(descriptor, mode, path, engine.project_name, wait=wait)
        if not shared:
            os.ftruncate(descriptor, 0)  # lines of holders that were killed
        _write(descriptor, f"{os.getpid()} {datetime.now().astimezone():%H:%M} {command}")
        try:
            yield
        finally:
            _write(descriptor, f"{os.getpid()} ended")


def _acquire(descriptor: int, mode: int, path: Path, project: str, *, wait: bool) -> None:
    waiting = False
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
        except OSError as error:
            raise _unusable(path, error) from error
        else:
            return
        if not wait:
            raise ProjectBusy(
                f"starting to work on the project {project}",
                f"{holder} is at work on it",
                hint="without `--no-wait` this command waits for its end",
            )
        if not waiting:
            console.say(f"  waiting for {holder} ...")
            waiting = True
        pause(POLL_SECONDS)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    """Open the lock file. It is never removed: others may have it open."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # releases the lock


def _unusable(path: Path, error: OSError) -> MachineError:
    return MachineError(
        f"locking the project with {path}",
        error.strerror or str(error),
        hint="set XDG_CACHE_HOME to a folder on this machine that you may write to",
    )


def _write(descriptor: int, line: str) -> None:
    with contextlib.suppress(OSError):  # a full disk hides only the holder's name
        os.write(descriptor, f"{line}\n".encode())


def _lock_file(engine: Engine) -> Path:
    key = hashlib.sha256(f"{engine.identifier()} {engine.project_name}".encode()).hexdigest()[:12]
    return locks_folder() / f"{engine.project_name}-{key}.lock"


def _holder(path: Path) -> str:
    """Return the holders by command, process and start."""
    if not (names := _names_of_holders(path)):
        pause(POLL_SECONDS)  # it has the lock, and writes its line next
        names = _names_of_holders(path)
    return names or "another command"


def _names_of_holders(path: Path) -> str:
    holders: dict[int, str] = {}
    for line in path.read_text(errors="replace").splitlines():
        if match := _HOLDER.fullmatch(line):
            text = f'"./inv {match["command"]}" (pid {match["pid"]}, since {match["since"]})'
            holders[int(match["pid"])] = text
        elif match := _ENDED.fullmatch(line):
            holders.pop(int(match["pid"]), None)
    return " and ".join(text for pid, text in holders.items() if _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        pass
    return True
