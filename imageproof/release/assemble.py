"""Assembly of a release: its images, with the commit, base image and lock files that they share."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imageproof.checks.base.pinned import BASE_DIGEST
from imageproof.errors import ImageDamaged, VerifyFailed
from imageproof.image.sizes import BASE_NAME
from imageproof.image.tar import printable
from imageproof.registry.reference import Reference, is_digest
from imageproof.release.manifest import Base, ContractResult, Release, ReleasedImage

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Verdict

REVISION_LABEL = "org.opencontainers.image.revision"
ACTION = "publishing images"


@dataclass(frozen=True)
class Provenance:
    """Commit, base image and lock files, which all images of a release share."""

    revision: str
    base: Base | None
    locks: Mapping[str, str]  # path: digest


def verified_images(verdicts: Sequence[Verdict]) -> dict[str, ImageFacts]:
    """Return the facts of each verified image, by name.

    Raises:
        VerifyFailed: A verdict does not pass.
    """
    for verdict in verdicts:
        if not verdict.passes:
            raise VerifyFailed(
                ACTION, "an image violates its contract", hint="`./inv verify` shows the violations"
            )
    subjects = [subject for verdict in verdicts for subject in verdict.subjects]
    return {subject.name: subject.image for subject in subjects if subject.image}


def provenance(contract: Contract, verdicts: Sequence[Verdict]) -> Provenance:
    """Return the provenance of verified images, from their labels and lock files.

    Raises:
        VerifyFailed: A verdict does not pass, or the images have several commits or base images.
    """
    images = verified_images(verdicts)
    all_labels = [image.labels for image in images.values()]
    revisions = {labels[REVISION_LABEL] for labels in all_labels if labels.get(REVISION_LABEL)}
    bases = {
        (labels[BASE_NAME], labels[BASE_DIGEST])
        for labels in all_labels
        if labels.get(BASE_NAME) and is_digest(labels.get(BASE_DIGEST, ""))
    }
    base = _single("base images", bases)
    return Provenance(
        revision=_single("commits", revisions) or "",
        base=Base(reference=base[0], digest=base[1]) if base else None,
        locks=_lock_digests(contract, images),
    )


def _single(plural: str, values: set[Any]) -> Any:
    """Return the only value; None without one. Raises VerifyFailed if there are several."""
    if len(values) > 1:
        listed = "; ".join(sorted(" ".join(v) if isinstance(v, tuple) else v for v in values))
        raise VerifyFailed(
            ACTION,
            f"the images were built from several {plural}: {printable(listed)}",
            hint="`./inv build` builds all of them again",
        )
    return next(iter(values), None)


def _lock_digests(contract: Contract, names: Iterable[str]) -> dict[str, str]:
    images = [contract.images[name] for name in names]
    paths = {path for image in images for path in (image.lock, image.npm_lock) if path}
    return {path: sha256((contract.root / path).read_bytes()) for path in sorted(paths)}


def contract_result(
    name: str, service: ServiceContract, verdicts: Sequence[Verdict]
) -> ContractResult:
    """Count the results of an image's checks in its verdicts (one verdict per platform)."""
    results = [result for verdict in verdicts for result in verdict.results]
    count = Counter(result.status for result in results if result.subject == name)
    contract_json = json.dumps([service.model_dump(mode="json")], sort_keys=True)
    return ContractResult(
        digest=sha256(contract_json.encode()),
        passed=count["pass"],
        waived=count["waived"],
        warning=count["warning"],
        not_run=count["not run"],
    )


def new_release(shared: Provenance, images: Mapping[str, ReleasedImage]) -> Release:
    """Return a release of these images, created now."""
    return Release(
        created=datetime.now(tz=UTC).replace(microsecond=0),
        revision=shared.revision,
        base=shared.base,
        locks=dict(shared.locks),
        images=dict(images),
    )


def sha256(content: bytes) -> str:
    """Return the digest of bytes, as `sha256:HEX`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def unexpected_image(reference: Reference, expected: str, actual: str) -> ImageDamaged:
    """Return the error for an image in a registry that is not the verified one."""
    return ImageDamaged(
        f"reading {reference} back",
        f"it is not the verified image: expected {expected}, got {actual}",
        hint="does another user or job push under this tag? Use a tag of your own",
    )
