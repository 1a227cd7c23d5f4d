"""compose.pinned: each image that the project does not build has a digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.compose_file import ComposeFacts


@check(
    "compose.pinned",
    "compose",
    title="Each image that the project does not build has a digest",
    why="The owner of a tag can move it: tomorrow's image is not the one that was tested today.",
    remedy="Write `image: NAME:TAG@sha256:...`. `docker buildx imagetools inspect NAME:TAG` shows "
    "the digest.",
    reference="CIS Docker Benchmark 1.6: 5.28; https://docs.docker.com/build/building/"
    "best-practices/#pin-base-image-versions",
)
def pinned(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for no tag and for `latest`; warn of a tag without digest.

    An image that the project builds needs no digest.
    """
    for name, service in facts.services.items():
        reference, at, _ = service.image.partition("@")
        if at or not reference:  # no reference: Compose builds the image and names it
            continue
        tag = reference.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            missing = "a tag other than `latest`" if service.built else "a tag and its digest"
            yield Finding(
                f"{name} runs {reference}, which changes with every push: give it {missing}",
                file=contract.compose,
            )
        elif not service.built:
            yield Finding(
                f"{name} runs {reference}, whose tag can move: add its digest",
                file=contract.compose,
                warning=True,
            )
