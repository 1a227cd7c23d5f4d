"""Size baselines: recorded image sizes that later sizes are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from imageproof.documents import MAX_LOCK_BYTES, parse_json, read_text
from imageproof.errors import ContractError, UsageError

if TYPE_CHECKING:
    from imageproof.contract import Contract

ChangeKind = Literal["layer", "package", "file"]


@dataclass(frozen=True)
class Baseline:
    """Recorded sizes of an image on one base image, in bytes.

    `layers` by instruction, `packages` by `kind:name`, large `files` by path.
    """

    base: str
    size: int
    layers: Mapping[str, int] = field(default_factory=dict)
    packages: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)

    def sizes(self, kind: ChangeKind) -> Mapping[str, int]:
        """Return the sizes of the layers, packages or files, by name."""
        return {"layer": self.layers, "package": self.packages, "file": self.files}[kind]


@dataclass(frozen=True)
class Change:
    """Growth of one layer, package or file, in bytes; negative if it shrank."""

    kind: ChangeKind
    name: str
    growth: int

    def __str__(self) -> str:
        """Return the change as a line of a report."""
        slash = "/" if self.kind == "file" else ""
        return f"{self.kind} {slash}{self.name} {self.growth / 1e6:+.2f} MB"


def compare_baselines(before: Baseline, now: Baseline) -> list[Change]:
    """Return all changes, largest first."""
    changes = []
    for kind in get_args(ChangeKind):
        old_sizes, new_sizes = before.sizes(kind), now.sizes(kind)
        for name in old_sizes.keys() | new_sizes.keys():
            growth = new_sizes.get(name, 0) - old_sizes.get(name, 0)
            if growth:
                changes.append(Change(kind, name, growth))
    return sorted(changes, key=lambda change: (-abs(change.growth), change.kind, change.name))


def read_baselines(contract: Contract) -> dict[str, tuple[Baseline, ...]]:
    """Return the baselines of each image, one for each base image; empty if there is no file.

    Raises:
        ContractError: The file is invalid.
    """
    path = contract.root / str(contract.baseline)
    if not path.is_file():
        return {}
    try:
        # Image name: base image: sizes.
        document: dict[str, dict[str, Any]] = parse_json(read_text(path, MAX_LOCK_BYTES))
        return {
            name: tuple(Baseline(base=base, **sizes) for base, sizes in bases.items())
            for name, bases in document.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ContractError(
            f"reading {contract.baseline}",
            f"invalid file of recorded sizes: {error}",
            hint="remove it, then run `./inv size --record`",
        ) from error


def write_baselines(contract: Contract, baselines: Mapping[str, Baseline]) -> Path:
    """Write a baseline of each of these images to the contract's file; keep all others.

    Args:
        contract: The contract; it names the file.
        baselines: The new baselines, by image name.

    Returns:
        The file's path.

    Raises:
        UsageError: The contract names no baseline file.
    """
    if contract.baseline is None:
        raise UsageError(
            "recording the sizes",
            "the contract names no baseline file",
            hint='add `baseline = "sizes.json"` to [tool.imageproof]',
        )
    recorded = {
        name: {baseline.base: baseline for baseline in of_image}
        for name, of_image in read_baselines(contract).items()
    }
    for name, baseline in baselines.items():
        recorded.setdefault(name, {})[baseline.base] = baseline
    document = {
        name: {
            base: {key: value for key, value in asdict(baseline).items() if key != "base"}
            for base, baseline in bases.items()
        }
        for name, bases in recorded.items()
    }
    path = contract.root / contract.baseline
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return path
