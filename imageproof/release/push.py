"""Push of verified images from the engine to a registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.docker.errors import translating
from imageproof.errors import RegistryUnavailable
from imageproof.image.registry_source import resolve_digest
from imageproof.image.sources import read_images
from imageproof.registry.reference import SCHEME, Reference, parse_reference
from imageproof.release.assemble import (
    contract_result,
    new_release,
    provenance,
    unexpected_image,
    verified_images,
)
from imageproof.release.manifest import Release, ReleasedImage
from imageproof.user_cache import open_folder

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Verdict

LOGIN_HINT = "is the registry reachable, and may your user push there? `docker login` logs in"


def push(contract: Contract, engine: Engine, verdict: Verdict, prefix: str, tag: str) -> Release:
    """Push the images of a verdict as PREFIX/NAME:TAG, and compare them with the pushed ones.

    Raises:
        VerifyFailed: The verdict does not pass, or the images have several commits or base images.
        RegistryUnavailable: The registry does not answer, or refuses the push.
        ImageDamaged: The registry has another image under this tag after the push.
    """
    shared = provenance(contract, [verdict])
    images = {}
    for name, image in verified_images([verdict]).items():
        reference = parse_reference(f"{prefix}/{name}:{tag}", "naming the image to push")
        _push(engine, image.identity, str(reference))
        digest = _pushed_digest(contract, engine, image, reference)
        result = contract_result(name, contract.images[name], [verdict])
        images[name] = ReleasedImage(reference=str(reference), digest=digest, contract=result)
    return new_release(shared, images)


def _push(engine: Engine, identity: str, reference: str) -> None:
    """Push an image by its id: its local tag may have moved since the image was verified."""
    console.say(f"  {reference}")
    action = f"pushing {reference}"
    existing = engine.image(reference)
    with translating(action, RegistryUnavailable, LOGIN_HINT):
        engine.whales.image.tag(identity, reference)
        try:
            engine.whales.image.push(reference, quiet=True)
        finally:
            if existing is None:
                engine.whales.image.remove(
                    reference
                )  # removes this tag only: the image has another one


def _pushed_digest(
    contract: Contract, engine: Engine, image: ImageFacts, reference: Reference
) -> str:
    """Return the digest in the registry. Raises ImageDamaged if it is not the verified image."""
    digest, _ = resolve_digest(reference)
    location = f"{SCHEME}{reference.with_digest(digest)}"
    pushed = read_images(engine, [location], open_folder(contract.root))[location]
    if pushed is None or not is_same_image(pushed, image):
        raise unexpected_image(reference, image.identity, digest)
    return digest


def is_same_image(pushed: ImageFacts, local: ImageFacts) -> bool:
    """Return whether both facts describe the same image.

    Equal ids prove it. In containerd's store, ids are digests of manifests, which differ between
    registry and store: then the layers' diff_ids and the configuration are compared.
    """
    if pushed.identity == local.identity:
        return True
    ignored: dict[str, Any] = {"reference": "", "identity": "", "project_files": None}
    # Both contain instructions, whose wording differs between the engine and a registry.
    ignored |= {"history": (), "layers": ()}
    pushed_ids, local_ids = ([layer.diff_id for layer in i.layers] for i in (pushed, local))
    return pushed_ids == local_ids and replace(pushed, **ignored) == replace(local, **ignored)
