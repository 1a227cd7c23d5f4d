"""What the repository records about an image: lock files, size baselines, and today's date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from imageproof.project.lock_files import read_lock, read_npm_lock, read_text
from imageproof.project.size_baseline import Baseline, read_baselines

if TYPE_CHECKING:
    from imageproof.contract import Contract


@dataclass(frozen=True)
class Record:
    """`python` and `npm`: name to locked versions; None where the contract names no lock file.
    `conditional`: the Python packages that are not for every system, by their markers (PEP 508).
    `baselines`: one a base; None where the contract names no file of recorded sizes."""

    today: date
    python: Mapping[str, tuple[str, ...]] | None = None
    conditional: frozenset[str] = frozenset()
    npm: Mapping[str, tuple[str, ...]] | None = None
    baselines: tuple[Baseline, ...] | None = None


def read_record(contract: Contract, name: str, today: date) -> Record:
    """What the repository says of an image. Raises ContractError for a file that is not there."""
    image = contract.images[name]
    python, conditional = None, frozenset[str]()
    if image.lock:
        place = f"tool.imageproof.images.{name}.lock"
        python, conditional = read_lock(read_text(contract.root / image.lock, place), place)
    npm = None
    if image.npm_lock:
        place = f"tool.imageproof.images.{name}.npm_lock"
        npm = read_npm_lock(read_text(contract.root / image.npm_lock, place), place)
    baselines = read_baselines(contract).get(name, ()) if contract.baseline else None
    return Record(today, python, conditional, npm, baselines)
