"""The project's files that an image is compared with: lock files and size baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from imageproof.project.lock_files import parse_npm_lock, parse_python_lock, read_lock_text
from imageproof.project.size_baseline import Baseline, read_baselines

if TYPE_CHECKING:
    from imageproof.contract import Contract


@dataclass(frozen=True)
class ProjectFiles:
    """Content of the project's files about one image, and the date of the comparison.

    `python` and `npm`: versions of each locked package. `conditional`: Python packages that are
    locked for some systems only (PEP 508 markers). `baselines`: one for each base image. A value is
    None if the contract names no such file.
    """

    today: date
    python: Mapping[str, tuple[str, ...]] | None = None
    conditional: frozenset[str] = frozenset()
    npm: Mapping[str, tuple[str, ...]] | None = None
    baselines: tuple[Baseline, ...] | None = None


def read_project_files(contract: Contract, name: str, today: date) -> ProjectFiles:
    """Read the project's files about the contract's image `name`.

    Raises:
        ContractError: A file is missing or invalid.
    """
    image = contract.images[name]
    python, conditional = None, frozenset[str]()
    if image.lock:
        key = f"tool.imageproof.images.{name}.lock"
        text = read_lock_text(contract.root / image.lock, key)
        python, conditional = parse_python_lock(text, key)
    npm = None
    if image.npm_lock:
        key = f"tool.imageproof.images.{name}.npm_lock"
        npm = parse_npm_lock(read_lock_text(contract.root / image.npm_lock, key), key)
    baselines = read_baselines(contract).get(name, ()) if contract.baseline else None
    return ProjectFiles(today, python, conditional, npm, baselines)
