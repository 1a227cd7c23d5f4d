"""Promotion: copy of verified images from one registry to another, by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.image.registry_source import SCHEME, resolve_digest
from imageproof.registry.client import Registry
from imageproof.registry.copy import copy
from imageproof.registry.reference import Reference, parse_prefix, parse_reference
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
    platforms: tuple[str | None, ...]  # (None,) if it is for one platform

    @property
    def place(self) -> str:
        """The image's name for `verify`."""
        return f"{SCHEME}{self.reference}"


def sources(contract: Contract, text: str) -> tuple[dict[str, Source], Release | None]:
    """Return the images to promote, by name, and the release that they come from.

    Args:
        contract: The contract whose images they are.
        text: A release file, or docker://HOST/PREFIX:TAG for images that `build --push` pushed.
            A tag is resolved to its digest now.

    Raises:
        UsageError: The text is neither, or an image is missing.
    """
    if text.startswith(SCHEME):
        prefix, _, tag = text.removeprefix(SCHEME).rpartition(":")
        place = parse_prefix(prefix)
        references = {
            name: parse_reference(f"{place}/{name}:{tag}", f"reading {text}")
            for name in contract.images
        }
        return {name: _source(ref, ref.tag) for name, ref in references.items()}, None
    release = load(Path(text))
    images = {}
    for name, image in release.images.items():
        contract.select(name)
        images[name] = _source(parse_reference(image.pinned), parse_reference(image.reference).tag)
    return images, release


def _source(reference: Reference, tag: str) -> Source:
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
        release: The release that the images come from; its provenance is kept.

    Raises:
        VerifyFailed: A verdict does not pass, or the images have several commits or base images.
        RegistryUnavailable: A registry does not answer, or refuses a request.
        StackFailed: An image is damaged, or the target has another one under its tag afterwards.
    """
    shared = provenance(contract, [verdict for each in verdicts.values() for verdict in each])
    if release:
        shared = Provenance(release.revision, release.base, release.locks)
    promoted = {}
    for name, source in images.items():
        to = parse_reference(f"{prefix}/{name}:{tag or source.tag}", "naming the promoted image")
        console.say(f"  {source.reference} → {to}")
        with Registry(source.reference.host) as origin, Registry(to.host) as target:
            copy(origin, source.reference, target, to)
        digest, _ = resolve_digest(to)
        if digest != source.reference.digest:
            raise unexpected_image(to, source.reference.digest, digest)
        result = contract_result(name, contract.images[name], verdicts[name])
        promoted[name] = ReleasedImage(reference=str(to), digest=digest, contract=result)
    return new_release(shared, promoted)
