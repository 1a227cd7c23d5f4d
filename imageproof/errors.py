"""Everything that can go wrong, as one tree; each branch is an exit status.

    ImageproofError
    ├── Violation            1  something that was checked falls short
    │   ├── BuildFailed
    │   ├── LintFailed
    │   ├── VerifyFailed
    │   ├── TestsFailed
    │   └── StackFailed
    ├── UsageError           2  the contract, the configuration or the command line is wrong
    │   ├── ContractError
    │   └── ConfigurationError
    └── MachineError         3  the machine lacks something
        ├── EngineUnavailable
        ├── BaseUnavailable
        ├── NoSpace
        ├── PortTaken
        ├── RegistryUnavailable
        └── ProvisionFailed

An error says what was being done (`action`), what happened (`cause`), the last lines of the log
that matters (`tail`), and what to do next (`hint`). It is rendered by imageproof.console, once.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

__all__ = [
    "BaseUnavailable",
    "BuildFailed",
    "ConfigurationError",
    "ContractError",
    "EngineUnavailable",
    "ImageproofError",
    "LintFailed",
    "MachineError",
    "NoSpace",
    "PortTaken",
    "ProvisionFailed",
    "RegistryUnavailable",
    "StackFailed",
    "TestsFailed",
    "UsageError",
    "VerifyFailed",
    "Violation",
    "unexpected_error",
]

TAIL_LINES = 15


class ImageproofError(Exception):
    """A failure that a user can act on. `status` is the exit status of the command."""

    status = 1

    def __init__(
        self, action: str, cause: str, *, tail: Iterable[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(f"{action}: {cause}")
        self.action = action
        self.cause = cause
        self.tail = tuple(tail)[-TAIL_LINES:]
        self.hint = hint


class Violation(ImageproofError):
    """Something that was checked falls short."""


class BuildFailed(Violation):
    """An instruction of a Dockerfile failed."""


class LintFailed(Violation):
    """A linter found something."""


class VerifyFailed(Violation):
    """An image or the stack is not what its contract says."""


class TestsFailed(Violation):
    """A test failed."""

    __test__ = False  # not a test class, whatever pytest makes of its name


class StackFailed(Violation):
    """A service did not become healthy, or did not end as it should."""


class UsageError(ImageproofError):
    """The command line names something that does not exist."""

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
    """The base image is neither present, nor to be pulled, nor to be made here."""


class NoSpace(MachineError):
    """The engine's disk is full."""


class PortTaken(MachineError):
    """A port of the stack belongs to another program."""


class RegistryUnavailable(MachineError):
    """A registry does not answer, or does not let this user do what was asked of it."""


class ProvisionFailed(MachineError):
    """A step of provision did not do what it should."""


FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk, or what one may have of it


def unexpected_error(error: Exception) -> ImageproofError:
    """The error for what nobody foresaw: no space, wherever something is written, or else a defect
    of this program, named without a traceback."""
    action = "running this command"
    made: ImageproofError
    if isinstance(error, OSError) and error.errno in FULL:
        place = [error.filename] if isinstance(error.filename, str) else []
        made = NoSpace(action, "no space is left on this machine", tail=place)
    else:
        # The first line only: an exception of the engine's client holds its whole command line.
        words = str(error).splitlines()[:1]
        made = ImageproofError(
            action,
            f"a defect: {type(error).__name__}",
            tail=[line for line in words if "command executed" not in line],
            hint="`--debug` shows where it happened",
        )
    made.__cause__ = error
    return made
