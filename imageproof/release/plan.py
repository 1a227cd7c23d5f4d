"""Dry run of a push or a promotion: what would be copied where. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.registry.client import Registry
from imageproof.registry.reference import parse_reference
from imageproof.release.assemble import provenance, verified_images
from imageproof.release.promote import target_reference

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.registry.manifest import Manifest
    from imageproof.registry.reference import Reference
    from imageproof.release.promote import Source
    from imageproof.verify.judge import Verdict


@dataclass(frozen=True)
class PlannedCopy:
    """An image that would be copied to a registry.

    Attributes:
        source: An image id, or a reference with a digest.
        target: HOST/NAME:TAG.
        replaces: The digest of another image under this tag; empty if there is none.
        present: Whether this image is already under this tag.
    """

    source: str
    target: str
    replaces: str = ""
    present: bool = False


def plan_push(contract: Contract, verdict: Verdict, prefix: str, tag: str) -> list[PlannedCopy]:
    """Return what `push` would do with the same arguments.

    Raises:
        VerifyFailed: The verdict does not pass, or the images have several commits or base images.
        RegistryUnavailable: The registry does not answer, or refuses to be read.
    """
    provenance(contract, [verdict])
    copies = []
    for name, image in verified_images([verdict]).items():
        target = parse_reference(f"{prefix}/{name}:{tag}", "naming the image to push")
        current = _current(target)
        config = (current.document.get("config") or {}) if current else {}
        # In containerd's store, an image's id is the digest of its manifest.
        is_same = current is not None and image.identity in (current.digest, config.get("digest"))
        copies.append(_planned(image.identity, target, current, is_same=is_same))
    return copies


def plan_promotion(
    contract: Contract,
    images: Mapping[str, Source],
    verdicts: Mapping[str, Sequence[Verdict]],
    prefix: str,
    tag: str | None,
) -> list[PlannedCopy]:
    """Return what `promote` would do with the same arguments; it raises the same errors."""
    provenance(contract, [verdict for of_image in verdicts.values() for verdict in of_image])
    copies = []
    for name, source in images.items():
        target = target_reference(prefix, name, tag or source.tag)
        current = _current(target)
        is_same = current is not None and current.digest == source.reference.digest
        copies.append(_planned(str(source.reference), target, current, is_same=is_same))
    return copies


def _current(target: Reference) -> Manifest | None:
    with Registry(target.host) as registry:
        return registry.manifest(target.path, target.tag)


def _planned(
    source: str, target: Reference, current: Manifest | None, *, is_same: bool
) -> PlannedCopy:
    replaces = current.digest if current and not is_same else ""
    return PlannedCopy(source, str(target), replaces, present=is_same)
