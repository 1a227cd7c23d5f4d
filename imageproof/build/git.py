"""The project's git repository. Without git, or outside a repository, the results are empty."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit(root: Path) -> str:
    """Return the full id of the current commit, "" without one."""
    return (run_git(root, "rev-parse", "HEAD") or "").strip()


def has_uncommitted_changes(root: Path) -> bool:
    """Return whether a tracked file differs from the current commit."""
    return bool(run_git(root, "status", "--porcelain", "--untracked-files=no"))


def run_git(root: Path, *arguments: str) -> str | None:
    """Return the standard output of a git command, None if it fails or git is not installed."""
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None
