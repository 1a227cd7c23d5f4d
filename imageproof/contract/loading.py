"""Loading of the contract from `[tool.imageproof]` in pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imageproof.contract.models import Contract
from imageproof.errors import ContractError

FILE = "pyproject.toml"
HINT = "`./inv explain contract` lists the keys of [tool.imageproof]"


def find_root() -> Path:
    """Return the project's folder: IMAGEPROOF_ROOT, else the nearest folder upward with a contract.

    Without any, return the current folder; `load` then reports the missing contract.
    """
    if root := os.environ.get("IMAGEPROOF_ROOT"):
        return Path(root).resolve()
    current = Path.cwd()
    folders = (current, *current.parents)
    return next((folder for folder in folders if _has_contract(folder)), current)


def _has_contract(folder: Path) -> bool:
    try:
        document = tomllib.loads((folder / FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return False
    tool = document.get("tool")
    return isinstance(tool, dict) and "imageproof" in tool


@cache
def load(root: Path | None = None) -> Contract:
    """Read the contract of the project in `root` (default: `find_root()`).

    Raises:
        ContractError: The contract is missing or invalid; the message names each wrong key.
    """
    root = root or find_root()
    action = f"reading the contract in {FILE}"
    try:
        document = tomllib.loads((root / FILE).read_text())
    except FileNotFoundError:
        raise ContractError(action, f"there is no {FILE} in {root}", hint=HINT) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContractError(action, f"invalid TOML: {error}", hint=HINT) from error
    table = document.get("tool", {}).get("imageproof")
    if not isinstance(table, dict):
        raise ContractError(action, "there is no table [tool.imageproof]", hint=HINT)
    try:
        return Contract.model_validate({**table, "root": root})
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        raise ContractError(action, problems[0], tail=problems[1:], hint=HINT) from error


def _describe(problem: Any) -> str:
    key = ".".join(map(str, ("tool", "imageproof", *problem["loc"])))
    return f"{key}: {problem['msg']}"
