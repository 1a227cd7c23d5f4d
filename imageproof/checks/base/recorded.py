"""base.recorded: a label names the base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.sizes import BASE_NAME

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "base.recorded",
    "image",
    title="A label names the base of the image",
    why="If a base has a vulnerability, the labels show which images were built on it.",
    remedy="Set the LABEL in the Dockerfile from the build argument that names the base.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def recorded(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail if the label with the base's name is missing or empty."""
    if not facts.labels.get(BASE_NAME):
        yield Finding(f"the label {BASE_NAME} is missing or empty")
