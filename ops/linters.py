"""Linters of this repository's own Python code and workflows."""

from __future__ import annotations

from pathlib import Path

from imageproof.commands.lint import tool_path


def linter_commands(root: Path) -> dict[str, list[str]]:
    """Return the command line of each linter by name."""
    workflows = sorted(str(path) for path in root.glob(".github/workflows/*.y*ml"))
    return {
        "ruff check": [tool_path("ruff"), "check", "-q", "--output-format=concise", "."],
        "ruff format": [tool_path("ruff"), "format", "--check", "-q", "."],
        "mypy": [tool_path("mypy"), "--no-error-summary"],
        "import-linter": [tool_path("lint-imports"), "--no-cache"],
        "actionlint": [tool_path("actionlint"), *workflows],
    }
