"""A variable as Compose sees it: from this process's environment, else from the root's .env."""

from __future__ import annotations

import os
from pathlib import Path


def variable(root: Path, name: str) -> str | None:
    """The value of a variable; None where neither place has one that is not empty."""
    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(root / ".env").get(name) or None
