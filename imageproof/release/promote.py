"""Promotion: copy of verified images from one registry to another, by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.image.registry_source import resolve_digest
from imageproof.registry.client import Registry
from imageproof.registry.copy import copy_image
from imageproof.registry.reference import SCHEME, Reference, parse_prefix, parse_reference
from imageproof.release.assemble import (
    Provenance,
    contract_result,
    new_release,
    provenance,
    unexpected_image,
)
from imageproof.release.manifest import Release, ReleasedImage, load

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.verify.judge import Verdict


@dataclass(frozen=True)
class Source:
    """An image to promote."""

    reference: Reference  # with a digest
    tag: str
    platforms: tuple[str | None, ...]  # (None,) for an image of one platform

    @property
    def location(self) -> str:
        """docker://HOST/NAME@DIGEST, as `verify` takes it."""
        return f"{SCHEME}{self.reference}"


def read_sources(contract: Contract, source: str) -> tuple[dict[str, Source], Release | None]:
    """Return the images to promote, by name, and the release that they come from.

    Args:
        contract: The contract of the images.
        source: A release file, or docker://HOST/PREFIX:TAG for images that `build --push` pushed.
            Their tags are resolved to digests now.

    Raises:
        UsageError: The source is neither, or an image is missing.
    """
    if source.startswith(SCHEME):
        prefix_text, _, tag = source.removeprefix(SCHEME).rpartition(":")
        prefix = parse_prefix(prefix_text)
        references = {
            name: parse_reference(f"{prefix}/{name}:{tag}", f"reading {source}")
            for name in contract.images
        }
        return {name: _resolve(ref, ref.tag) for name, ref in references.items()}, None
    release = load(Path(source))
    images = {}
    for name, image in release.images.items():
        contract.select(name)  # raises if the contract has no such image
        tag = parse_reference(image.reference).tag
        images[name] = _resolve(parse_reference(image.pinned), tag)
    return images, release


def _resolve(reference: Reference, tag: str) -> Source:
    """Return the image with its digest and platforms, which its registry is queried for."""
    digest, platforms = resolve_digest(reference)
    return Source(reference.with_digest(digest), tag, platforms or (None,))


def promote(
    contract: Contract,
    images: Mapping[str, Source],
    verdicts: Mapping[str, Sequence[Verdict]],
    prefix: str,
    tag: str | None,
    release: Release | None,
) -> Release:
    """Copy images byte for byte to PREFIX/NAME:TAG, and return the new release.

    Args:
        contract: The contract that the images were verified against.
        images: The images, by name.
        verdicts: The verdicts of each image, one per platform.
        prefix: HOST/PREFIX of the target.
        tag: The new tag; None keeps each image's tag.
        release: The release that the images come from: the new one has its provenance.

    Raises:
        VerifyFailed: A verdict does not pass, or the images have several commits or base images.
        RegistryUnavailable: A registry does not answer, or refuses a request.
        ImageDamaged: An image is damaged, or the target's tag names another image afterwards.
    """
    shared = provenance(
        contract, [verdict for of_image in verdicts.values() for verdict in of_image]
    )
    if release:
        shared = Provenance(release.revision, release.base, release.locks)
    promoted = {}
    for name, source in images.items():
        target = target_reference(prefix, name, tag or source.tag)
        console.say(f"  {source.reference} → {target}")
        with Registry(source.reference.host) as origin, Registry(target.host) as destination:
            copy_image(origin, source.reference, destination, target)
        digest, _ = resolve_digest(target)
        if digest != source.reference.digest:
            raise unexpected_image(target, source.reference.digest, digest)
        result = contract_result(name, contract.images[name], verdicts[name])
        promoted[name] = ReleasedImage(reference=str(target), digest=digest, contract=result)
    return new_release(shared, promoted)


def target_reference(prefix: str, name: str, tag: str) -> Reference:
    """Return the reference of a promoted image."""
    return parse_reference(f"{prefix}/{name}:{tag}", "naming the promoted image")
