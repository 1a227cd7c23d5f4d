"""secret.canary: the secrets of a build stay out of the image and the build cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.double_build import BuildFacts


@check(
    "secret.canary",
    "build",
    title="No build secret is in a layer, the configuration or the build cache",
    why="A secret that a step copied, cached or printed into a file travels with the image, even "
    "if a later step removes the file.",
    remedy="Mount the secret (`RUN --mount=type=secret`) in the one step that needs it, and do not "
    "write it to a file there; then replace the secret.",
    reference="https://docs.docker.com/build/building/secrets/; CIS Docker Benchmark 4.10",
)
def canary(_: ServiceContract, facts: BuildFacts) -> Iterator[Finding]:
    """Fail for each leaked canary: the builds got canaries instead of the secrets."""
    if facts.unknown or not facts.searched:
        yield Finding(facts.unknown or "nothing was searched", unknown=True)
    for leak in facts.leaks:
        encoding = "" if leak.form == "plain" else f" (as {leak.form})"
        yield Finding(
            f"the secret {leak.secret} is in the {leak.place}{encoding}",
            file=f"/{leak.file}" if leak.file else None,
            instruction=leak.instruction or None,
        )
