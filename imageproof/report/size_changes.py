"""Changes of an image's size since its recorded baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof.image.sizes import baseline_for, sizes_of
from imageproof.project.size_baseline import Change, compare_baselines

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts


def growth_text(facts: ImageFacts) -> str:
    """Return the change of the size, such as `+0.50 MB`; empty if this base has no baseline."""
    baseline = baseline_for(facts)
    return f"{(facts.size - baseline.size) / 1e6:+.2f} MB" if baseline else ""


def changes_since_baseline(facts: ImageFacts) -> list[Change]:
    """Return the layers, packages and files whose size changed, largest change first."""
    baseline = baseline_for(facts)
    return compare_baselines(baseline, sizes_of(facts)) if baseline else []
