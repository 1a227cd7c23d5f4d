"""size.growth: the image has not grown since its size was recorded."""

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
    why="Images grow in small steps, and a budget reports only the last one.",
    remedy="`./inv size` shows what grew. If the growth is intended, run `./inv size --record` and "
    "commit the file.",
    reference="[tool.imageproof] baseline, [tool.imageproof.images.*] growth",
)
def growth(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the recorded size plus the contract's `growth`; warn if no size is recorded.

    base.recorded reports an image that names no base, size.budget an image above its budget.
    """
    base = base_of(facts)
    if facts.project_files is None or facts.project_files.baselines is None or not base:
        return
    baseline = baseline_for(facts)
    if baseline is None:
        message = f"no size is recorded on the base {base}: run `./inv size --record`"
        yield Finding(message, warning=True)
        return
    grown = facts.size - baseline.size
    if grown <= contract.growth or facts.size > contract.size:
        return
    changes = most_grown(facts, baseline)
    grown_layers = [change.name for change in changes if change.kind == "layer"]
    layer = next((x for x in facts.layers if layer_name(x) in grown_layers), facts.layers[-1])
    yield Finding(
        f"grew by {grown / 1e6:.2f} MB since the baseline ({contract.growth / 1e6:.2f} MB "
        f"allowed): {', '.join(map(str, changes))}",
        file=next((f"/{change.name}" for change in changes if change.kind == "file"), None),
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=facts.size,
        bound=baseline.size + int(contract.growth),
    )
