"""Sizes of an image by layer, package and file, and its baseline."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, get_args

from imageproof.image.package_owners import owned_bytes
from imageproof.project.size_baseline import Baseline, Change, ChangeKind, compare_baselines

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer

BASE_NAME = "org.opencontainers.image.base.name"
MAX_NAME_CHARACTERS = 100
MIN_FILE_BYTES = 100_000  # smaller files are not recorded
_HOST_AND_LIBRARY = re.compile(r"^(?:(?:localhost|[^/.:]*[.:][^/]*)/)?(?:library/)?")


def sizes_of(facts: ImageFacts) -> Baseline:
    """Return the sizes to record for an image, in bytes."""
    layers: dict[str, int] = defaultdict(int)
    for layer in facts.layers:
        layers[layer_name(layer)] += layer.size
    packages = {f"{kind}:{name}": size for (kind, name), size in owned_bytes(facts).items()}
    large_files = (file for file, _ in facts.files.values() if file.size >= MIN_FILE_BYTES)
    files = {file.path: file.size for file in large_files}
    return Baseline(base_of(facts), facts.size, dict(layers), packages, files)


def base_of(facts: ImageFacts) -> str:
    """Return the name of the base image, the same for every mirror: no registry host, no digest.

    Grammar: https://distribution.github.io/reference
    """
    return _HOST_AND_LIBRARY.sub("", facts.labels.get(BASE_NAME, "").partition("@")[0])


def baseline_for(facts: ImageFacts) -> Baseline | None:
    """Return the recorded sizes of an image on its base; None if there are none."""
    base = base_of(facts)
    baselines = (facts.project_files and facts.project_files.baselines) or ()
    return next((baseline for baseline in baselines if baseline.base == base), None)


def layer_name(layer: Layer) -> str:
    """Return the name of a layer in a baseline: its instruction, shortened."""
    return layer.instruction[:MAX_NAME_CHARACTERS] or "a layer of unknown origin"


def most_grown(facts: ImageFacts, before: Baseline) -> list[Change]:
    """Return the layer, the package and the file that grew most."""
    largest: dict[ChangeKind, Change] = {}
    for change in compare_baselines(before, sizes_of(facts)):  # the largest change first
        if change.growth > 0:
            largest.setdefault(change.kind, change)
    return [largest[kind] for kind in get_args(ChangeKind) if kind in largest]
