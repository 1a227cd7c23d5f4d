"""Sizes of an image by layer, package and file, and its baseline."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, get_args

from imageproof.image.package_owners import owned_bytes
from imageproof.project.size_baseline import Baseline, Change, Kind, compare_baselines

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer

BASE_NAME = "org.opencontainers.image.base.name"
MAX_NAME = 100  # characters of an instruction
MIN_FILE_BYTES = 100_000  # smaller files are not recorded
_HOST = re.compile(r"^(?:(?:localhost|[^/]*[.:][^/]*)/)?(?:library/)?")


def sizes_of(facts: ImageFacts) -> Baseline:
    """Return the sizes to record for an image, in bytes."""
    layers: dict[str, int] = defaultdict(int)
    for layer in facts.layers:
        layers[layer_name(layer)] += layer.size
    packages = {f"{kind}:{name}": size for (kind, name), size in owned_bytes(facts).items()}
    files = {p: file.size for p, (file, _) in facts.files.items() if file.size >= MIN_FILE_BYTES}
    return Baseline(base_of(facts), facts.size, dict(layers), packages, files)


def base_of(facts: ImageFacts) -> str:
    """Return the base's name without registry host and digest: the same for every mirror.

    Grammar: https://distribution.github.io/reference
    """
    return _HOST.sub("", facts.labels.get(BASE_NAME, "").partition("@")[0])


def baseline_for(facts: ImageFacts) -> Baseline | None:
    """Return the recorded sizes of an image on its base; None if there are none."""
    baselines = (facts.project_files and facts.project_files.baselines) or ()
    return next((baseline for baseline in baselines if baseline.base == base_of(facts)), None)


def layer_name(layer: Layer) -> str:
    """Return the name of a layer in a baseline: its instruction, shortened."""
    return layer.instruction[:MAX_NAME] or "a layer of unknown origin"


def most_grown(facts: ImageFacts, before: Baseline) -> list[Change]:
    """Return the layer, the package and the file that grew most."""
    growing = [c for c in compare_baselines(before, sizes_of(facts)) if c.growth > 0]
    first = (next((c for c in growing if c.kind == kind), None) for kind in get_args(Kind))
    return [change for change in first if change]
