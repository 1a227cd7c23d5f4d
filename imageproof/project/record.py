"""Records of the repository about an image: locked packages, size baselines, today's date."""

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
    """Records about one image; None: the contract names no such file.

    `python` and `npm`: versions of each locked package. `conditional`: Python packages that are
    locked only for some systems (PEP 508 markers). `baselines`: one for each base image.
    """

    today: date
    python: Mapping[str, tuple[str, ...]] | None = None
    conditional: frozenset[str] = frozenset()
    npm: Mapping[str, tuple[str, ...]] | None = None
    baselines: tuple[Baseline, ...] | None = None


def read_record(contract: Contract, name: str, today: date) -> Record:
    """Read the records about the image `name`.

    Raises:
        ContractError: A file is missing or invalid.
    """
    image = contract.images[name]
    python, conditional = None, frozenset[str]()
    if image.lock:
        key = f"tool.imageproof.images.{name}.lock"
        python, conditional = read_lock(read_text(contract.root / image.lock, key), key)
    npm = None
    if image.npm_lock:
        key = f"tool.imageproof.images.{name}.npm_lock"
        npm = read_npm_lock(read_text(contract.root / image.npm_lock, key), key)
    baselines = read_baselines(contract).get(name, ()) if contract.baseline else None
    return Record(today, python, conditional, npm, baselines)
