"""Checks of option values. They run while the command line is parsed, before the first command."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument

from imageproof.cli.wrong_words import ACTION, HelpWanted, WrongValue
from imageproof.errors import UsageError

# Takes the value. Raises UsageError, or ValueError with what the option needs, if it is wrong.
Check = Callable[[Any], object]
MAX_WHOLE_NUMBER = 10**9
HELP_FLAGS = ("-h", "--help")


class CheckedArgument(Argument):
    """An argument of Invoke whose value is checked when it is parsed."""

    check: Check | None = None
    command = ""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Set the value. Raises WrongValue if it is wrong."""
        name = self.names[0].upper() if self.positional else f"--{self.names[0]}"
        try:
            if self.positional and value in HELP_FLAGS:
                raise HelpWanted(self.command)
            if self.positional:
                _require_no_option(value)
            if self.kind in (int, float):
                value = _number(self.kind, value)
            super().set_value(value, cast)
            if self.check:
                self.check(value)
        except UsageError as error:
            raise WrongValue(error) from error
        except ValueError as error:
            cause = f"{name} {error}, not {str(value)!r}"
            hint = "`./inv --help COMMAND` shows the options"
            raise WrongValue(UsageError(ACTION, cause, hint=hint)) from error


def _require_no_option(value: str) -> None:
    if value.startswith("-"):
        raise ValueError("needs a value")


def _number(kind: type, text: Any) -> float:
    """Return a whole number (int) or a number of seconds (float)."""
    try:
        number: float = kind(text)
    except ValueError:
        number = -1
    if kind is int and not 0 <= number <= MAX_WHOLE_NUMBER:
        raise ValueError(f"needs a whole number from 0 to {MAX_WHOLE_NUMBER}")
    if kind is float and not (number > 0 and math.isfinite(number)):
        raise ValueError("needs a number of seconds above 0")
    return number


def one_of(*names: str) -> Check:
    """Return a check that accepts these words."""

    def check(value: str) -> None:
        if value not in names:
            raise ValueError(f"needs one of {', '.join(names)}")

    return check


def output_file(value: str) -> None:
    """Accept the path of a file that can be written."""
    path = Path(value)
    if path.is_dir():
        raise ValueError("needs a file, and this is a folder")
    if not path.parent.is_dir():
        raise ValueError("needs a file in an existing folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError("needs a file that can be written")


def output_new_file(value: str) -> None:
    """Accept the path of a file that can be written; its folder is created."""
    if Path(value).is_dir():
        raise ValueError("needs a file, and this is a folder")
    output_folder(str(Path(value).parent))


def output_folder(value: str) -> None:
    """Accept the path of a folder that exists or can be created."""
    path = Path(value).absolute()
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    if not nearest.is_dir():
        raise ValueError(f"needs a folder, and {nearest} is a file")
    if not os.access(nearest, os.W_OK):
        raise ValueError("needs a folder that can be written")


def registry_prefix(value: str) -> None:
    """Accept HOST/PREFIX."""
    from imageproof.registry.reference import parse_prefix

    parse_prefix(value)


def tag(value: str) -> None:
    """Accept a tag of an image."""
    from imageproof.registry.reference import parse_tag

    parse_tag(value)


def check_ids(value: str) -> None:
    """Accept the id or prefix of checks."""
    from imageproof.checks import choose_checks

    choose_checks(value)


def platforms(value: str) -> None:
    """Accept platforms, separated by commas."""
    from imageproof.build.options import parse_platforms

    parse_platforms(value)
