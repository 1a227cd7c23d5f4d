"""Loading of the contract from `[tool.imageproof]` in pyproject.toml."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from imageproof.contract.models import Contract
from imageproof.documents import read_text, require_depth
from imageproof.errors import ContractError

FILE = "pyproject.toml"
_HINT = "`./inv explain contract` lists the keys of [tool.imageproof]"
MAX_DOTS = 200  # of a line, outside strings: tomllib's cost is quadratic in the parts of a key
_NOT_A_KEY = re.compile(r"""\"[^"\n]*"|'[^'\n]*'|#[^\n]*|\d\.\d""")


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
        return _read_table(folder) is not None
    except (OSError, ValueError):
        return False


def _read_table(folder: Path) -> Any:
    """Return the value of tool.imageproof in the folder's file; None if it is not set.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is invalid or beyond a bound.
    """
    text = read_text(folder / FILE)
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS and _NOT_A_KEY.sub("", line).count(".") > MAX_DOTS:
            raise ValueError(f"line {number} has a key of more than {MAX_DOTS} parts")
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError("lists and tables are nested too deep") from None
    require_depth(document)
    tool = document.get("tool")
    return tool.get("imageproof") if isinstance(tool, dict) else None


@cache
def load(root: Path | None = None) -> Contract:
    """Read the contract of the project in `root` (default: `find_root()`).

    Raises:
        ContractError: The contract is missing or invalid; the message names each wrong key.
    """
    root = root or find_root()
    action = f"reading the contract in {FILE}"
    try:
        table = _read_table(root)
    except FileNotFoundError:
        raise ContractError(action, f"there is no {FILE} in {root}", hint=_HINT) from None
    except OSError as error:
        cause = f"{root / FILE} cannot be read: {error.strerror}"
        hint = f"`ls -ld {shlex.quote(str(root / FILE))}` shows its type and permissions"
        raise ContractError(action, cause, hint=hint) from error
    except ValueError as error:
        raise ContractError(action, f"invalid TOML: {error}", hint=_HINT) from error
    if not isinstance(table, dict):
        raise ContractError(action, "there is no table [tool.imageproof]", hint=_HINT)
    try:
        return Contract.model_validate({**table, "root": root})
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        raise ContractError(action, problems[0], tail=problems[1:], hint=_HINT) from error


def _describe(problem: Any) -> str:
    """Describe one of pydantic's errors by its key in the file."""
    key = ".".join(map(str, ("tool", "imageproof", *problem["loc"])))
    return f"{key}: {problem['msg']}"
