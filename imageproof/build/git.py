"""What git knows of the project; where it is not installed, or there is no repository, nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit(root: Path) -> str:
    """The commit; empty outside git."""
    return (run_git(root, "rev-parse", "HEAD") or "").strip()


def has_uncommitted_changes(root: Path) -> bool:
    """Whether a file that git knows is not as the commit has it."""
    return bool(run_git(root, "status", "--porcelain", "--untracked-files=no"))


def run_git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails, or is not there."""
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None
