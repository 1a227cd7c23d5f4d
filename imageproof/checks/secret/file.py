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
    from imageproof.image.facts import ImageFacts, Layer, Package


@check(
    "secret.file",
    "image",
    title="No layer contains a secret file",
    why="Keys, tokens and .env files are copied with their folder. A file that a later step "
    "deletes stays in the layer below, for everyone who pulls the image.",
    remedy=REMEDY,
    reference=f"{CIS}; https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def secret_files(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each secret candidate of any layer, even if deleted later, unless it is public."""
    hidden_by = {(file.path, layer.diff_id): hiding for file, layer, hiding in facts.hidden}
    owners = package_owners(facts)
    for layer in facts.layers:
        for candidate in layer.secret_candidates:
            path = candidate.path
            owner = owners.get(path)
            if owner and _is_visible(path, layer, facts) and _is_public(owner, facts):
                continue
            hiding = hidden_by.get((path, layer.diff_id))
            hidden = f", though {hiding.instruction or 'a later layer'} hides it" if hiding else ""
            yield finding_at(path, layer, f"/{path} looks like a secret: {candidate.rule}{hidden}")
        if layer.unsearched:
            yield Finding(
                f"files of a layer were not searched: {layer.unsearched}",
                layer=layer.diff_id,
                instruction=layer.instruction,
                unknown=True,
            )


def _is_visible(path: str, layer: Layer, facts: ImageFacts) -> bool:
    """Return whether a container sees the file of this layer, not one of a later layer."""
    entry = facts.files.get(path)
    return entry is not None and entry[1] is layer


def _is_public(package: Package, facts: ImageFacts) -> bool:
    """Return whether everyone can get the package: it is a distribution's or in a lock file.

    Any other package may be the project itself, packed with the secrets of its folder.
    """
    locks = facts.project_files
    if package.kind == "python" and locks and locks.python is not None:
        return normal_name(package.name) in locks.python
    if package.kind == "npm" and locks and locks.npm is not None:
        return package.name in locks.npm
    return True
