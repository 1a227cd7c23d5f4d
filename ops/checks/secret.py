"""Secrets where everybody who has the image can read them. Their values are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check
from ops.redaction import assigned, has_shape, is_secret

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

CIS = "CIS Docker Benchmark 4.10; https://docs.docker.com/build/building/secrets/"
MEND = (
    "Give it to the build as a secret (`RUN --mount=type=secret`), or to the container at run "
    "time; then change the secret, since whoever pulled the image has it."
)


@check(
    "secret.env",
    "image",
    title="No secret is in the image's environment",
    why="`docker inspect` shows an image's environment to everybody who can pull it.",
    mend=MEND,
    reference=CIS,
)
def env(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a variable that is named or shaped like a secret, and is not empty."""
    for name, value in facts.environment.items():
        if is_secret(name, value):
            yield Finding(f"ENV {name} holds what looks like a secret")


@check(
    "secret.label",
    "image",
    title="No secret is in the image's labels",
    why="Labels travel with the image, to registries and scanners as well.",
    mend=MEND,
    reference=CIS,
)
def label(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a label that is named or shaped like a secret, and is not empty."""
    for name, value in facts.labels.items():
        if is_secret(re.sub(r"[.\-/]", "_", name), value):
            yield Finding(f"LABEL {name} holds what looks like a secret")


@check(
    "secret.history",
    "image",
    title="No secret is in the image's history",
    why="Build arguments and RUN lines are kept in the image: `docker history` shows them.",
    mend=MEND,
    reference=CIS,
)
def history(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for an instruction that assigns or contains what looks like a secret."""
    told = {name for name, value in facts.environment.items() if is_secret(name, value)}
    labelled = any(True for _ in label(terms, facts))
    for line in facts.history:
        names = [name for name in assigned(line) if name not in told]
        if line.startswith("LABEL ") and labelled:
            continue  # secret.label says so already
        if names or (has_shape(line) and not line.startswith("ENV ")):
            what = f" ({', '.join(names)})" if names else ""
            yield Finding(f"{line.partition(' ')[0]} holds what looks like a secret{what}")
