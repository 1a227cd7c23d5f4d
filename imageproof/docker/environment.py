"""Environment variables: as Compose resolves them, and set for a while for a child process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def compose_variable(root: Path, name: str) -> str | None:
    """Return the value of a variable: of this process's environment, else of .env in `root`.

    An empty value counts as none.
    """
    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(root / ".env").get(name) or None


def compose_variables(root: Path) -> dict[str, str]:
    """Return all variables: those of .env in `root`, overridden by this process's environment.

    For a compose file in another folder, for which Compose would read another .env.
    """
    from dotenv import dotenv_values

    dotenv = {name: value or "" for name, value in dotenv_values(root / ".env").items()}
    return dotenv | dict(os.environ)


@contextlib.contextmanager
def temporary_environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of this process's environment (None: unset), and restore them at the end.

    python-on-whales passes this environment on to Docker, and has no parameter for another one.
    """
    before = {name: os.environ.get(name) for name in variables}
    try:
        _set(variables)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
