"""How large an image is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts


@check(
    "size.budget",
    "image",
    title="All layers together stay within the budget",
    why="Bytes are pulled on each node at each deployment, and each file is one more to patch. "
    "Layer bytes, uncompressed, are the same on every engine and image store.",
    mend="`./inv size` shows which layer grew. Raise the budget only with a reason in the commit.",
    reference="OCI image spec, config.md: rootfs.diff_ids name uncompressed layers",
)
def budget(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail when the sum of the layers' uncompressed tars exceeds the budget; names the largest."""
    if facts.size > terms.size:
        largest = max(facts.layers, key=lambda layer: layer.size)
        yield Finding(
            f"{facts.size / 1e6:.1f} MB in layers, the budget is {terms.size / 1e6:.1f} MB; "
            f"the largest layer has {largest.size / 1e6:.1f} MB",
            layer=largest.diff_id,
            instruction=largest.instruction,
            measured=facts.size,
            bound=int(terms.size),
        )
