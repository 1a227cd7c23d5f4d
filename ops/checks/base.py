"""What an image stands on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

NAME = "org.opencontainers.image.base.name"


@check(
    "base.recorded",
    "image",
    title="The image says which base it was made from",
    why="When a hole in a base becomes known, the labels say which images have it.",
    mend="LABEL it in the Dockerfile from the build argument that names the base.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def recorded(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail where the base's name is not among the labels."""
    if not facts.labels.get(NAME):
        yield Finding(f"the label {NAME} is missing or empty")
