"""size.budget: all layers together stay within the budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.sizes import baseline_for, most_grown

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "size.budget",
    "image",
    title="All layers together stay within the budget",
    why="Every node pulls these bytes at every deployment, and every file may need a patch. "
    "Uncompressed layer bytes are the same on every engine and image store.",
    remedy="`./inv size` shows which layer grew. If the growth is justified, raise the budget and "
    "give the reason in the commit.",
    reference="OCI image spec, config.md: rootfs.diff_ids name uncompressed layers",
)
def budget(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the budget; name the largest layer and the growth since the baseline."""
    if facts.size > contract.size:
        largest = max(facts.layers, key=lambda layer: layer.size)
        baseline = baseline_for(facts)
        changes = most_grown(facts, baseline) if baseline else []
        growth = f"; {', '.join(map(str, changes))}" if changes else ""
        yield Finding(
            f"the layers have {facts.size / 1e6:.1f} MB, the budget is {contract.size / 1e6:.1f} "
            f"MB; the largest layer has {largest.size / 1e6:.1f} MB{growth}",
            layer=largest.diff_id,
            instruction=largest.instruction,
            measured=facts.size,
            bound=int(contract.size),
        )
