"""The compose files that Compose itself would read in the project's folder.

COMPOSE_FILE decides, from the environment or the project's .env; else it is the contract's compose
file with the override file beside it. COMPOSE_PROFILES, COMPOSE_PROJECT_NAME and COMPOSE_ENV_FILES
are read by Compose itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.docker.environment import compose_variables
from imageproof.errors import ConfigurationError

if TYPE_CHECKING:
    from imageproof.contract import Contract

# In the order in which Compose looks for them (compose-go, cli/options.go).
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
# The variables that change the stack beside COMPOSE_FILE, and what they change.
_OTHER_VARIABLES = {
    "COMPOSE_PROFILES": "profiles",
    "COMPOSE_PROJECT_NAME": "project",
    "COMPOSE_ENV_FILES": "variables",
}


def files_in_use(contract: Contract) -> tuple[Path, ...]:
    """Return the compose files that Compose would read in the project's folder.

    Raises:
        ConfigurationError: COMPOSE_FILE names a file that does not exist.
    """
    file = contract.compose_file
    variables = compose_variables(file.parent)
    if names := variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        return tuple(_existing(contract.root, name) for name in names.split(separator))
    # An override belongs to the file that Compose chooses in this folder.
    if file.name != _first_existing(file.parent, DEFAULT_NAMES):
        return (file,)
    override = _first_existing(file.parent, OVERRIDE_NAMES)
    return (file, file.with_name(override)) if override else (file,)


def describe_files_in_use(contract: Contract) -> str | None:
    """Return in one line what Compose reads besides the contract's compose file; None: nothing."""
    files = files_in_use(contract)
    variables = compose_variables(contract.compose_file.parent)
    parts = []
    if files != (contract.compose_file,):
        source = " (COMPOSE_FILE)" if variables.get("COMPOSE_FILE") else ""
        names = ", ".join(short_name(contract, file) for file in files)
        parts.append(f"compose files: {names}{source}")
    for name, meaning in _OTHER_VARIABLES.items():
        # Compose reads COMPOSE_ENV_FILES before it reads any of these files.
        value = os.environ.get(name) if name == "COMPOSE_ENV_FILES" else variables.get(name)
        if value:
            parts.append(f"{meaning}: {value} ({name})")
    return "; ".join(parts) or None


def short_name(contract: Contract, file: Path) -> str:
    """Return a file's path as a user writes it: relative to the project's folder if it is in it."""
    return str(file.relative_to(contract.root) if file.is_relative_to(contract.root) else file)


def _first_existing(folder: Path, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if (folder / name).exists()), None)


def _existing(root: Path, name: str) -> Path:
    path = root / name
    if not path.is_file():
        raise ConfigurationError(
            "choosing the compose files",
            f"COMPOSE_FILE names {name or 'an empty path'!r}, which is not a file",
            hint="correct or unset COMPOSE_FILE, in the environment or in .env",
        )
    return path
