"""Secrets where everybody who has the image can read them. Their values are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.package_owners import package_owners
from imageproof.project.lock_files import normal_name
from imageproof.redaction import assigned, has_shape, is_secret

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Package

CIS = "CIS Docker Benchmark 4.10; https://docs.docker.com/build/building/secrets/"
REMEDY = (
    "Give it to the build as a secret (`RUN --mount=type=secret`), or to the container at run "
    "time; then change the secret, since whoever pulled the image has it."
)


@check(
    "secret.env",
    "image",
    title="No secret is in the image's environment",
    why="`docker inspect` shows an image's environment to everybody who can pull it.",
    remedy=REMEDY,
    reference=CIS,
)
def env(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a variable that is named or shaped like a secret, and is not empty."""
    for name, value in facts.environment.items():
        if is_secret(name, value):
            yield Finding(f"ENV {name} holds what looks like a secret")


@check(
    "secret.label",
    "image",
    title="No secret is in the image's labels",
    why="Labels travel with the image, to registries and scanners as well.",
    remedy=REMEDY,
    reference=CIS,
)
def label(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a label that is named or shaped like a secret, and is not empty."""
    for name, value in facts.labels.items():
        if is_secret(re.sub(r"[.\-/]", "_", name), value):
            yield Finding(f"LABEL {name} holds what looks like a secret")


@check(
    "secret.history",
    "image",
    title="No secret is in the image's history",
    why="Build arguments and RUN lines are kept in the image: `docker history` shows them.",
    remedy=REMEDY,
    reference=CIS,
)
def history(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
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


@check(
    "secret.file",
    "image",
    title="No layer holds a file that is a secret",
    why="Keys, tokens and .env files are copied with the folder that they lie in. What a later "
    "step deletes is still in the layer below, for everybody who pulls it.",
    remedy=REMEDY,
    reference=f"{CIS}; https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def file(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each candidate of any layer, deleted ones too; a package's own files are public."""
    hidden = {(found.path, layer.diff_id): by for found, layer, by in facts.hidden}
    owners = package_owners(facts)
    for layer in facts.layers:
        for candidate in layer.secret_candidates:
            path = candidate.path
            owner = owners.get(path) if facts.files.get(path, (None, None))[1] is layer else None
            if owner and _is_public(owner, facts):
                continue
            by = hidden.get((path, layer.diff_id))
            still = f", though {by.instruction or 'a later layer'} hides it" if by else ""
            yield Finding(
                f"/{path} looks like a secret ({candidate.rule}){still}",
                file=f"/{path}",
                layer=layer.diff_id,
                instruction=layer.instruction,
            )


def _is_public(package: Package, facts: ImageFacts) -> bool:
    """Whether everybody can have the package: the distribution's, and those of the lock. What else
    is installed as a package may be the program itself, with whatever was beside it."""
    record = facts.record
    if package.kind == "python" and record and record.python is not None:
        return normal_name(package.name) in record.python
    if package.kind == "npm" and record and record.npm is not None:
        return package.name in record.npm
    return True
