"""secret.file: no layer contains a secret file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import finding_at
from imageproof.checks.secret.texts import CIS, REMEDY
from imageproof.image.package_owners import package_owners
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Package


@check(
    "secret.file",
    "image",
    title="No layer contains a secret file",
    why="Keys, tokens and .env files are copied with their folder. A file that a later step "
    "deletes stays in the layer below, for everyone who pulls the image.",
    remedy=REMEDY,
    reference=f"{CIS}; https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def file(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each secret candidate of any layer, deleted ones too, unless it is public."""
    hidden_by = {(hidden.path, layer.diff_id): by for hidden, layer, by in facts.hidden}
    owners = package_owners(facts)
    for layer in facts.layers:
        for candidate in layer.secret_candidates:
            path = candidate.path
            owner = owners.get(path) if facts.files.get(path, (None, None))[1] is layer else None
            if owner and _is_public(owner, facts):
                continue
            by = hidden_by.get((path, layer.diff_id))
            deleted = f", though {by.instruction or 'a later layer'} hides it" if by else ""
            yield finding_at(path, layer, f"/{path} looks like a secret: {candidate.rule}{deleted}")


def _is_public(package: Package, facts: ImageFacts) -> bool:
    """Return whether everyone can get the package: the distribution's, and those in a lock file.

    Any other package may be the project itself, with the secrets that were beside it.
    """
    locks = facts.project_files
    if package.kind == "python" and locks and locks.python is not None:
        return normal_name(package.name) in locks.python
    if package.kind == "npm" and locks and locks.npm is not None:
        return package.name in locks.npm
    return True
