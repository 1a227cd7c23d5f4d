"""secret.label: no secret is in the image's labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.secret.texts import CIS, REMEDY
from imageproof.redaction import is_secret

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "secret.label",
    "image",
    title="No secret is in the image's labels",
    why="Labels travel with the image to registries and scanners.",
    remedy=REMEDY,
    reference=CIS,
)
def label(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each label with a value whose name or value looks like a secret's."""
    for name, value in facts.labels.items():
        if is_secret(re.sub(r"[.\-/]", "_", name), value):
            yield Finding(f"LABEL {name} looks like a secret")
