"""Recorded image sizes: the baseline that later sizes are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from imageproof.errors import ContractError, UsageError

if TYPE_CHECKING:
    from imageproof.contract import Contract

What = Literal["layer", "package", "file"]


@dataclass(frozen=True)
class Baseline:
    """The recorded size of an image on one base; all sizes in bytes.

    `layers` by instruction, `packages` by `kind:name`, `files` by path (only large ones).
    """

    base: str
    size: int
    layers: Mapping[str, int] = field(default_factory=dict)
    packages: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What one thing has more than it had; bytes, below zero where it has less."""

    what: What
    name: str
    by: int

    def __str__(self) -> str:
        """As a person reads it."""
        slash = "/" if self.what == "file" else ""
        return f"{self.what} {slash}{self.name} {self.by / 1e6:+.2f} MB"


def changes(before: Baseline, now: Baseline) -> list[Change]:
    """Every difference, the largest first."""
    found = [
        Change(what, name, new.get(name, 0) - old.get(name, 0))
        for what in get_args(What)
        for old, new in [(getattr(before, f"{what}s"), getattr(now, f"{what}s"))]
        for name in old.keys() | new.keys()
    ]
    different = [change for change in found if change.by]
    return sorted(different, key=lambda change: (-abs(change.by), change.what, change.name))


def read_baselines(contract: Contract) -> dict[str, tuple[Baseline, ...]]:
    """The recorded sizes of each image, one a base; none where nothing was recorded yet."""
    path = contract.root / str(contract.baseline)
    if not path.is_file():
        return {}
    try:
        document: dict[str, dict[str, Any]] = json.loads(path.read_text())
        return {
            name: tuple(Baseline(base=base, **sizes) for base, sizes in bases.items())
            for name, bases in document.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ContractError(
            f"reading {contract.baseline}",
            f"it is no file of recorded sizes: {error}",
            hint="remove it, and `./inv size --record`",
        ) from error


def write_baselines(contract: Contract, sizes: Mapping[str, Baseline]) -> Path:
    """Write the sizes of these images to the contract's baseline file; keep those of others.

    Returns the file's path. Raises UsageError if the contract names no file.
    """
    if contract.baseline is None:
        raise UsageError(
            "recording the sizes",
            "the contract names no file for them",
            hint='`baseline = "sizes.json"` in [tool.imageproof]',
        )
    known = {name: {b.base: b for b in found} for name, found in read_baselines(contract).items()}
    for name, baseline in sizes.items():
        known.setdefault(name, {})[baseline.base] = baseline
    document = {
        name: {
            base: {key: value for key, value in asdict(baseline).items() if key != "base"}
            for base, baseline in bases.items()
        }
        for name, bases in known.items()
    }
    path = contract.root / contract.baseline
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return path
