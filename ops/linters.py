"""Linters of this repository's own Python code and workflows."""

from __future__ import annotations

import os
from pathlib import Path

from imageproof.commands.lint import tool_path

CONCISE = ("--output-format=concise",)


def linter_commands(root: Path) -> dict[str, list[str]]:
    """Return the command line of each linter by name."""
    writable = os.access(root, os.W_OK)  # ruff and mypy fail if they cannot write their caches
    ruff_cache = [] if writable else ["--no-cache"]
    mypy_cache = [] if writable else [f"--cache-dir={os.devnull}"]
    workflows = sorted(str(path) for path in root.glob(".github/workflows/*.y*ml"))
    return {
        "ruff check": [
            tool_path("ruff"),
            "check",
            "-q",
            "--output-format=concise",
            *ruff_cache,
            ".",
        ],
        "ruff format": [tool_path("ruff"), "format", "--check", "-q", *ruff_cache, "."],
        "mypy": [tool_path("mypy"), "--no-error-summary", *mypy_cache],
        "import-linter": [tool_path("lint-imports"), "--no-cache"],
        "actionlint": [tool_path("actionlint"), *workflows],
    }
