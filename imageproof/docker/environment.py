"""Environment variables, as Compose resolves them."""

from __future__ import annotations

import os
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
