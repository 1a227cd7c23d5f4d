"""content.required: every path that the contract requires is in the image."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "content.required",
    "image",
    title="Every path that the contract requires is in the image",
    why="If a build loses a licence, a certificate bundle or a data file, the service fails when "
    "it first needs the file.",
    remedy="COPY the path in the Dockerfile, or remove it from `required`.",
    reference="[tool.imageproof.images.*] required",
)
def required(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each path or glob of `required` without a file; a dangling link does not count."""
    for item in contract.required:
        glob = item.strip("/")
        if not any(fnmatchcase(path, glob) and facts.resolves(path) for path in facts.files):
            yield Finding(f"{item} is not in the image", bound=item)
