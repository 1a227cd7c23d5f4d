"""Variables as Compose sees them: of this process's environment, else of the root's .env."""

from __future__ import annotations

import os
from pathlib import Path


def variable(root: Path, name: str) -> str | None:
    """The value of a variable; None where neither place has one that is not empty."""
    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(root / ".env").get(name) or None


def variables(root: Path) -> dict[str, str]:
    """All of them: for a file that lies elsewhere, where Compose would look for another .env."""
    from dotenv import dotenv_values

    found = {name: value or "" for name, value in dotenv_values(root / ".env").items()}
    return found | dict(os.environ)
