"""base.pinned: a label holds the digest of the base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.sizes import BASE_NAME

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

BASE_DIGEST = "org.opencontainers.image.base.digest"

EXPECTED = "sha256: and 64 hexadecimal digits"


@check(
    "base.pinned",
    "image",
    title="A label holds the digest of the base",
    why="A tag moves. Without the digest, nothing shows whether an image has last month's "
    "vulnerability, and the image cannot be built again.",
    remedy="Set the LABEL from a build argument with the digest. `./inv build` passes BASE_DIGEST; "
    "plain `docker compose build` leaves it empty.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md; SLSA",
)
def pinned(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail unless the label of the digest or of the base's name has a digest."""
    name = facts.labels.get(BASE_NAME, "")
    digest = facts.labels.get(BASE_DIGEST) or name.partition("@")[2]
    if name != "scratch" and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        actual = repr(digest) if digest else "nothing"
        yield Finding(
            f"the label {BASE_DIGEST} holds {actual}, expected {EXPECTED}",
            measured=digest or "nothing",
            bound=EXPECTED,
        )
