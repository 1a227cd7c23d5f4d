"""How an image's size changed since it was recorded, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof.image.sizes import baseline_for, sizes_of
from imageproof.project.size_baseline import Change, changes

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts


def growth(facts: ImageFacts) -> str:
    """The change of size since it was recorded on this base; empty where it was not."""
    before = baseline_for(facts)
    return f"{(facts.size - before.size) / 1e6:+.2f} MB" if before else ""


def changed(facts: ImageFacts) -> list[Change]:
    """What grew or shrank since then, the largest first."""
    before = baseline_for(facts)
    return changes(before, sizes_of(facts)) if before else []
