"""What two builds without cache give: the same layers, and none of the build's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.double_build import BuildFacts

SHOWN = 5  # paths of a layer that differs


@check(
    "build.reproducible",
    "build",
    title="Two builds without cache give the same layers",
    why="Only what can be built again can be checked against its source, and a layer that differs "
    "for no reason is pulled again by every node.",
    remedy="Give files a fixed date, sort what is listed, pin what is downloaded, and write no "
    "timestamp, random name or cache into a layer.",
    reference="https://reproducible-builds.org/docs/source-date-epoch/",
)
def reproducible(_: ServiceContract, facts: BuildFacts) -> Iterator[Finding]:
    """Fail for each layer that the second build made of other files; names them."""
    if facts.unknown or not facts.layers:
        yield Finding(facts.unknown or "the builds gave no layer", unknown=True)
    for difference in facts.differences:
        if not difference.paths:
            # Not the build's doing: the classic image store archives a layer in one of two orders,
            # by which of two equal parents it compares with (moby, overlay2: Diff, isParent).
            yield Finding(
                "the engine archived the same files in another order",
                instruction=difference.instruction,
                warning=True,
            )
            continue
        shown = ", ".join(f"/{path}" for path in difference.paths[:SHOWN])
        more = f" and {len(difference.paths) - SHOWN} more" if len(difference.paths) > SHOWN else ""
        yield Finding(
            f"a layer differs: {shown}{more}",
            file=f"/{difference.paths[0]}",
            instruction=difference.instruction,
            measured=len(difference.paths),
        )


@check(
    "secret.canary",
    "build",
    title="What the build is given as a secret is in no layer, configuration or cache",
    why="A secret that a step copied, cached or printed into a file travels with the image, "
    "whatever later steps remove.",
    remedy="Mount it (`RUN --mount=type=secret`) for the one step that needs it, and let that step "
    "write it nowhere; then change the secret.",
    reference="https://docs.docker.com/build/building/secrets/; CIS Docker Benchmark 4.10",
)
def canary(_: ServiceContract, facts: BuildFacts) -> Iterator[Finding]:
    """Fail for each canary, given in place of a secret, that is found in any form."""
    if facts.unknown or not facts.searched:
        yield Finding(facts.unknown or "nothing was searched", unknown=True)
    for leak in facts.leaks:
        form = "" if leak.form == "plain" else f" (as {leak.form})"
        yield Finding(
            f"the secret {leak.secret} is in the {leak.place}{form}",
            file=f"/{leak.file}" if leak.file else None,
            instruction=leak.instruction or None,
        )
