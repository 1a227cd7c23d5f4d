"""secret.history: no secret is in the image's history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.secret.label import label
from imageproof.checks.secret.texts import CIS, REMEDY
from imageproof.redaction import assigned_secrets, contains_secret, is_secret

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "secret.history",
    "image",
    title="No secret is in the image's history",
    why="Build arguments and RUN lines stay in the image: `docker history` shows them.",
    remedy=REMEDY,
    reference=CIS,
)
def history(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each instruction that assigns or contains a secret.

    secret.env and secret.label report the secrets that the image's configuration still has.
    """
    secret_variables = {name for name, value in facts.environment.items() if is_secret(name, value)}
    labels_reported = any(label(contract, facts))
    for line in facts.history:
        if line.startswith("LABEL ") and labels_reported:
            continue
        names = [name for name in assigned_secrets(line) if name not in secret_variables]
        if names or (contains_secret(line) and not line.startswith("ENV ")):
            instruction = line.partition(" ")[0]
            variables = f" ({', '.join(names)})" if names else ""
            yield Finding(f"{instruction} contains a value that looks like a secret{variables}")
