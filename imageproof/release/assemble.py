"""Assembly of a release: its images, with the commit, base image and lock files they share."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imageproof.checks.base.pinned import BASE_DIGEST
from imageproof.errors import StackFailed, VerifyFailed
from imageproof.image.sizes import BASE_NAME
from imageproof.image.tar import printable
from imageproof.registry.reference import DIGEST_PATTERN, Reference
from imageproof.release.manifest import Base, ContractResult, Release, ReleasedImage

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Verdict

REVISION = "org.opencontainers.image.revision"
ACTION = "publishing images"


@dataclass(frozen=True)
class Provenance:
    """What all images of a release share: commit, base image and lock files."""

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
            raise VerifyFailed(ACTION, "an image violates its contract")
    subjects = [subject for verdict in verdicts for subject in verdict.subjects]
    return {subject.name: subject.image for subject in subjects if subject.image}


def provenance(contract: Contract, verdicts: Sequence[Verdict]) -> Provenance:
    """Return the provenance of verified images, from their labels and the contract's lock files.

    Raises:
        VerifyFailed: A verdict does not pass, or the images have several commits or base images.
    """
    images = verified_images(verdicts)
    labels = [image.labels for image in images.values()]
    revisions = {label[REVISION] for label in labels if label.get(REVISION)}
    bases = {
        (label[BASE_NAME], label[BASE_DIGEST])
        for label in labels
        if label.get(BASE_NAME) and re.fullmatch(DIGEST_PATTERN, label.get(BASE_DIGEST, ""))
    }
    base = _single("base images", bases)
    return Provenance(
        revision=_single("commits", revisions) or "",
        base=Base(reference=base[0], digest=base[1]) if base else None,
        locks=_lock_digests(contract, images),
    )


def _single(what: str, values: set[Any]) -> Any:
    """Return the only value, or None. Raises VerifyFailed if there are several."""
    if len(values) > 1:
        listed = "; ".join(sorted(" ".join(v) if isinstance(v, tuple) else v for v in values))
        raise VerifyFailed(
            ACTION,
            f"the images were built from several {what}: {printable(listed)}",
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
    """Count the results of one image's checks over its verdicts, one per platform."""
    results = [result for verdict in verdicts for result in verdict.results]
    count = Counter(result.status for result in results if result.subject == name)
    contract_json = json.dumps(service.model_dump(mode="json"), sort_keys=True)
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
    """Return the digest of a text, as `sha256:HEX`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def unexpected_image(reference: Reference, expected: str, actual: str) -> StackFailed:
    """Return the error for an image in a registry that is not the verified one."""
    return StackFailed(
        f"reading {reference} back",
        f"it is not the verified image: expected {expected}, got {actual}",
        hint="does another user or job push under this tag? Use a tag of your own",
    )
