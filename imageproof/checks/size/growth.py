"""How an image grew since its size was recorded: which layer, which package, which file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.sizes import base_of, baseline_for, layer_name, most_grown

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "size.growth",
    "image",
    title="The image has not grown since its size was recorded",
    why="An image grows by a little at a time, each of which looks small; a budget says so on the "
    "day that it is full.",
    remedy="`./inv size` shows what grew; where it is meant, `./inv size --record`, and commit the "
    "file.",
    reference="[tool.imageproof] baseline, [tool.imageproof.images.*] growth",
)
def growth(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the recorded size plus the contract's `growth`; names what grew the most. Warn
    where nothing is recorded yet. Beyond the budget size.budget tells all of it."""
    base = base_of(facts)
    if facts.record is None or facts.record.baselines is None or not base:
        return  # that an image names no base is told by base.recorded
    before = baseline_for(facts)
    if before is None:
        message = f"no size is recorded on the base {base}: `./inv size --record`"
        yield Finding(message, warning=True)
        return
    grown = facts.size - before.size
    if grown <= terms.growth or facts.size > terms.size:
        return
    most = most_grown(facts, before)
    names = [change.name for change in most if change.what == "layer"]
    layer = next((one for one in facts.layers if layer_name(one) in names), facts.layers[-1])
    file = next((f"/{change.name}" for change in most if change.what == "file"), None)
    yield Finding(
        f"{grown / 1e6:+.2f} MB since it was recorded, {terms.growth / 1e6:.2f} MB may be; "
        f"{', '.join(map(str, most))}",
        file=file,
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=facts.size,
        bound=before.size + int(terms.growth),
    )
