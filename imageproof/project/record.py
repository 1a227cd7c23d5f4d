"""What the repository has on record of an image, beside the contract: the lock files, the sizes
that were recorded, and the day on which it is looked at."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.checks.content.locked import normal
from imageproof.checks.size.growth import base_of, layer_name
from imageproof.errors import ContractError, UsageError

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.image.facts import ImageFacts

READING = "reading the contract"
FLOOR = 100_000  # bytes: smaller files are not recorded
_PINNED = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?P<version>[^\s;\\]+)\s*(?P<marker>;)?"
)


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
        python, conditional = read_lock(_text(contract.root / image.lock, place), place)
    npm = None
    if image.npm_lock:
        place = f"tool.imageproof.images.{name}.npm_lock"
        npm = read_npm_lock(_text(contract.root / image.npm_lock, place), place)
    baselines = read_baselines(contract).get(name, ()) if contract.baseline else None
    return Record(today, python, conditional, npm, baselines)


def _text(path: Path, place: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "`./inv lock` makes the lock files"
        raise ContractError(
            READING, f"{place}: {path} cannot be read: {error}", hint=hint
        ) from error


def read_lock(text: str, place: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """The pinned packages of a requirements file (pip's format): name to versions; and the names
    that are pinned under a condition only. Raises ContractError for a file of another form."""
    found: dict[str, set[str]] = defaultdict(set)
    always = set()
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#-"]
    for match in filter(None, map(_PINNED.match, lines)):
        name = normal(match["name"])
        found[name].add(match["version"])
        if not match["marker"]:
            always.add(name)
    if lines and not found:
        raise ContractError(READING, f"{place}: it pins no package by `name==version`")
    versions = {name: tuple(sorted(pinned)) for name, pinned in found.items()}
    return versions, frozenset(found.keys() - always)


def read_npm_lock(text: str, place: str) -> dict[str, tuple[str, ...]]:
    """The packages of a package-lock.json (version 2 or 3): name to its versions.

    Raises ContractError for a file of another form.
    """
    found: dict[str, set[str]] = defaultdict(set)
    try:
        for folder, package in json.loads(text)["packages"].items():
            if folder and "version" in package:
                name = package.get("name") or folder.rpartition("node_modules/")[2]
                found[name].add(str(package["version"]))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ContractError(READING, f"{place}: it is no package-lock.json: {error}") from error
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


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


def baseline_of(facts: ImageFacts) -> Baseline:
    """What is recorded of an image."""
    layers: dict[str, int] = defaultdict(int)
    for layer in facts.layers:
        layers[layer_name(layer)] += layer.size
    packages: dict[str, int] = defaultdict(int)
    for path, package in facts.owners.items():
        packages[f"{package.kind}:{package.name}"] += facts.files[path][0].size
    files = {p: file.size for p, (file, _) in facts.files.items() if file.size >= FLOOR}
    return Baseline(base_of(facts), facts.size, dict(layers), dict(packages), files)


def write_baselines(contract: Contract, images: Mapping[str, ImageFacts]) -> Path:
    """Record the sizes of these images on their bases; what is recorded of others stays.

    Raises UsageError where the contract names no file for it.
    """
    if contract.baseline is None:
        raise UsageError(
            "recording the sizes",
            "the contract names no file for them",
            hint='`baseline = "sizes.json"` in [tool.imageproof]',
        )
    known = {name: {b.base: b for b in found} for name, found in read_baselines(contract).items()}
    for name, facts in images.items():
        baseline = baseline_of(facts)
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
