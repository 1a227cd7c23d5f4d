"""The errors of this program, as a tree. Each branch has an exit status.

    ImageproofError
    ├── Violation            1  a check, a build or a test failed
    │   ├── BuildFailed
    │   ├── CommandFailed        (with the status of the user's command)
    │   ├── LintFailed
    │   ├── VerifyFailed
    │   ├── TestsFailed
    │   ├── ImageDamaged
    │   └── StackFailed
    ├── UsageError           2  the contract, the configuration or the command line is wrong
    │   ├── ContractError
    │   └── ConfigurationError
    └── MachineError         3  the machine lacks something
        ├── EngineUnavailable
        ├── BaseUnavailable
        ├── NoSpace
        ├── NameTaken
        ├── PortTaken
        ├── ProjectBusy
        ├── RegistryUnavailable
        └── ProvisionFailed

imageproof.console prints an error: what was being done (`action`, such as "pulling shop:1"), what
happened (`cause`), the last lines of the relevant log (`tail`), and what to do next (`hint`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

__all__ = [
    "BaseUnavailable",
    "BuildFailed",
    "CommandFailed",
    "ConfigurationError",
    "ContractError",
    "EngineUnavailable",
    "ImageDamaged",
    "ImageproofError",
    "LintFailed",
    "MachineError",
    "NameTaken",
    "NoSpace",
    "PortTaken",
    "ProjectBusy",
    "ProvisionFailed",
    "RegistryUnavailable",
    "StackFailed",
    "TestsFailed",
    "UsageError",
    "VerifyFailed",
    "Violation",
    "unexpected_error",
]

MAX_TAIL_LINES = 15


class ImageproofError(Exception):
    """A failure that is reported without a traceback.

    Attributes:
        action: what was being done, such as "pulling shop:1".
        cause: what happened.
        tail: the last lines of the relevant log.
        hint: what to do next.
        status: exit status of the command.
    """

    status = 1

    def __init__(
        self, action: str, cause: str, *, tail: Iterable[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(f"{action}: {cause}")
        self.action = action
        self.cause = cause
        self.tail = tuple(tail)[-MAX_TAIL_LINES:]
        self.hint = hint


class Violation(ImageproofError):
    """A check, a build or a test failed."""


class BuildFailed(Violation):
    """An instruction of a Dockerfile failed."""


class LintFailed(Violation):
    """A linter reported a problem."""


class VerifyFailed(Violation):
    """An image or the stack violates its contract."""


class TestsFailed(Violation):
    """A test failed."""

    __test__ = False  # pytest takes the name for a test class


class ImageDamaged(Violation):
    """An image, archive or registry answer is invalid, or is not the image that was expected."""


class StackFailed(Violation):
    """A service did not start, or an engine command failed."""


class CommandFailed(Violation):
    """A command that the user gave failed in its container; its exit status becomes this one's."""

    def __init__(self, action: str, status: int) -> None:
        super().__init__(action, f"it ended with status {status}")
        self.status = status


class UsageError(ImageproofError):
    """The contract, the configuration or the command line is wrong."""

    status = 2


class ContractError(UsageError):
    """The contract in pyproject.toml is wrong."""


class ConfigurationError(UsageError):
    """The compose file or .env is wrong."""


class MachineError(ImageproofError):
    """The machine lacks something."""

    status = 3


class EngineUnavailable(MachineError):
    """No Docker engine answers, or it stopped answering."""


class BaseUnavailable(MachineError):
    """The base image is missing, and can neither be pulled nor made."""


class NoSpace(MachineError):
    """A disk is full, or a quota is exceeded."""


class NameTaken(MachineError):
    """Another container has the name of a container of the stack."""


class PortTaken(MachineError):
    """Another program uses a port of the stack."""


class ProjectBusy(MachineError):
    """Another command works on the same project, and this one should not wait."""


class RegistryUnavailable(MachineError):
    """A registry does not answer, or refuses a request."""


class ProvisionFailed(MachineError):
    """A step of provision failed."""


_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
# What the machine refuses, and what helps.
_REFUSALS = {
    errno.EROFS: "work in a copy of this folder on a disk that can be written",
    errno.EACCES: "run the command as the user who owns this file, or as root",
    errno.EPERM: "run the command as the user who owns this file, or as root",
    errno.EMFILE: "`ulimit -n 4096` allows more open files",
    errno.ENFILE: "end programs that hold many files open: `lsof | wc -l` counts them",
    errno.ENOMEM: "end programs that use much memory: `free -m` shows what is left",
    errno.EAGAIN: "end programs, or raise `ulimit -u`: no further process can be started",
    errno.EIO: "`dmesg` shows the disk's error",
}


def unexpected_error(error: Exception) -> ImageproofError:
    """Return the error to report for an unexpected exception: the machine's, or a defect."""
    action = "running this command"
    reported: ImageproofError
    if isinstance(error, OSError) and error.errno in _DISK_FULL_ERRNOS:
        files = [error.filename] if isinstance(error.filename, str) else []
        hint = "`df -h` shows the full disk; `./inv clean` removes this project's images and caches"
        reported = NoSpace(action, "no space is left on this machine", tail=files, hint=hint)
    elif isinstance(error, OSError) and error.errno in _REFUSALS:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        cause = f"{place}{os.strerror(error.errno)}"
        reported = MachineError(action, cause, hint=_REFUSALS[error.errno])
    else:
        # The first line of python-on-whales' exceptions is the command line with its build
        # arguments, which can be secret.
        first_line = str(error).splitlines()[:1]
        reported = ImageproofError(
            action,
            f"a defect of this program: {type(error).__name__}",
            tail=[line for line in first_line if "command executed" not in line],
            hint="`--debug` shows the traceback",
        )
    reported.__cause__ = error
    return reported
