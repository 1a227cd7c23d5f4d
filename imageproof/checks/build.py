"""build.reproducible: two builds without cache give the same layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import format_paths

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.double_build import BuildFacts


@check(
    "build.reproducible",
    "build",
    title="Two builds without cache give the same layers",
    why="Only a reproducible image can be checked against its source. A layer that differs for no "
    "reason is pulled again by every node.",
    remedy="Give files a fixed date, sort listings, pin downloads, and write no timestamp, random "
    "name or cache into a layer.",
    reference="https://reproducible-builds.org/docs/source-date-epoch/",
)
def reproducible(_: ServiceContract, facts: BuildFacts) -> Iterator[Finding]:
    """Fail for each layer whose files differ between the two builds."""
    if facts.unknown or not facts.layers:
        yield Finding(facts.unknown or "the builds gave no layer", unknown=True)
    for difference in facts.differences:
        if difference.paths:
            yield Finding(
                "these files of a layer differ between two builds, expected none: "
                f"{format_paths(difference.paths)}",
                file=f"/{difference.paths[0]}",
                instruction=difference.instruction,
                measured=len(difference.paths),
                bound=0,
            )
        else:
            # Not the build's doing: the classic image store archives a layer in one of two orders,
            # depending on which of two equal parents it compares with (moby, overlay2: isParent).
            yield Finding(
                "the engine archived the same files in another order",
                instruction=difference.instruction,
                warning=True,
            )
