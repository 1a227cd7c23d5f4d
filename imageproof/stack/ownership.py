"""The folder that a stack was started from: another clone's stack is not changed by accident."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

_LABEL = "com.docker.compose.project.working_dir"


def foreign_folders(contract: Contract, engine: Engine) -> list[str]:
    """Return the folders outside this project from which its containers were started."""
    # Compose's working folder is that of its first file.
    files = (*engine.compose_files[:1], contract.compose_file)
    own = {contract.root.resolve(), *(file.parent.resolve() for file in files)}
    # Without those of `run-api` and `docker compose run`, which any clone may add to the stack.
    labels = [item["Config"].get("Labels") or {} for item in engine.containers()]
    folders = {folder for label in labels if (folder := label.get(_LABEL))}
    return sorted(folder for folder in folders if Path(folder).resolve() not in own)


def require_own_stack(contract: Contract, engine: Engine, command: str) -> None:
    """Raise UsageError if the stack of this name was started from another folder.

    `command`: the command with its options, for the hint; a dry run stays one.
    """
    if folders := foreign_folders(contract, engine):
        raise UsageError(
            f"changing the stack {engine.project_name}",
            f"it was started from {', '.join(folders)}, not from {contract.root}",
            hint=f"`COMPOSE_PROJECT_NAME=NAME ./inv {command}` uses a stack of its own; "
            f"`./inv {command} --take-over` changes the other one",
        )
