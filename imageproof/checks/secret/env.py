"""secret.env: no secret is in the image's environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.secret.texts import CIS, REMEDY
from imageproof.redaction import is_secret

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "secret.env",
    "image",
    title="No secret is in the image's environment",
    why="`docker inspect` shows the environment to everyone who can pull the image.",
    remedy=REMEDY,
    reference=CIS,
)
def env(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each variable with a value whose name or value looks like a secret's."""
    for name, value in facts.environment.items():
        if is_secret(name, value):
            yield Finding(f"ENV {name} looks like a secret")
