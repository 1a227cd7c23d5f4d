"""Images that hold, brought to where others find them: pushed from the engine, or copied.

What arrives is compared with what was verified, by digest: no tag is believed, since it can be
moved between two looks.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.checks.base.supported import DIGEST as BASE_DIGEST
from imageproof.checks.base.supported import NAME as BASE_NAME
from imageproof.docker.errors import translating
from imageproof.errors import RegistryUnavailable, StackFailed, VerifyFailed
from imageproof.image.registry_source import SCHEME, resolve
from imageproof.image.sources import read_images
from imageproof.image.tar import printable
from imageproof.registry.client import Registry
from imageproof.registry.copy import copy
from imageproof.registry.reference import DIGEST, Reference, parse, parse_prefix
from imageproof.release.manifest import Base, Judged, Release, Released, load

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.docker.client import Engine
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Verdict

REVISION = "org.opencontainers.image.revision"
HINT_LOGIN = "does the registry answer there, and may this user push? `docker login` says who"


@dataclass(frozen=True)
class Source:
    """An image to be promoted: which one, under which tag, for which platforms."""

    reference: Reference  # by digest
    tag: str
    platforms: tuple[str | None, ...]  # (None,): it is for one

    @property
    def place(self) -> str:
        """As `verify` is told of it."""
        return f"{SCHEME}{self.reference}"


def push(contract: Contract, engine: Engine, verdict: Verdict, prefix: str, tag: str) -> Release:
    """Push what a verdict is about, and read back what came of it.

    Raises VerifyFailed for images that do not hold or do not belong together, RegistryUnavailable,
    and StackFailed where something else arrived.
    """
    about = _about(contract, [verdict])
    released = {}
    for name, image in _facts([verdict]).items():
        reference = parse(f"{prefix}/{name}:{tag}", "naming what is pushed")
        _push(engine, image.identity, str(reference))
        digest = _arrived(contract, engine, image, reference)
        judged = _judged(name, contract.images[name], [verdict])
        released[name] = Released(reference=str(reference), digest=digest, contract=judged)
    return _release(about, released)


def sources(contract: Contract, text: str) -> tuple[dict[str, Source], Release | None]:
    """What is to be promoted: the images of a release file, or those that a builder pushed to
    docker://HOST/PREFIX:TAG, each by the digest that it has now.

    Raises UsageError for what is neither, or not there.
    """
    if text.startswith(SCHEME):
        prefix, _, tag = text.removeprefix(SCHEME).rpartition(":")
        place = parse_prefix(prefix)
        named = {n: parse(f"{place}/{n}:{tag}", f"reading {text}") for n in contract.images}
        return {name: _source(reference, reference.tag) for name, reference in named.items()}, None
    release = load(Path(text))
    found = {}
    for name, image in release.images.items():
        contract.select(name)
        found[name] = _source(parse(image.pinned), parse(image.reference).tag)
    return found, release


def _source(reference: Reference, tag: str) -> Source:
    digest, platforms = resolve(reference)
    return Source(reference.by(digest), tag, platforms or (None,))


def promote(
    contract: Contract,
    images: Mapping[str, Source],
    verdicts: Mapping[str, Sequence[Verdict]],
    prefix: str,
    tag: str | None,
    before: Release | None,
) -> Release:
    """Copy images to another place, byte for byte. `verdicts`: of each image, one a platform;
    `before`: the release that they are of.

    Raises VerifyFailed for images that do not hold or do not belong together, RegistryUnavailable.
    """
    about = _about(contract, [verdict for each in verdicts.values() for verdict in each])
    if before:
        about = _About(before.revision, before.base, before.locks)
    released = {}
    for name, source in images.items():
        to = parse(f"{prefix}/{name}:{tag or source.tag}", "naming what is promoted")
        console.say(f"  {source.reference} → {to}")
        with Registry(source.reference.host) as one, Registry(to.host) as other:
            copy(one, source.reference, other, to)
        digest, _ = resolve(to)
        if digest != source.reference.digest:
            raise _something_else(to, source.reference.digest, digest)
        judged = _judged(name, contract.images[name], verdicts[name])
        released[name] = Released(reference=str(to), digest=digest, contract=judged)
    return _release(about, released)


def _facts(verdicts: Sequence[Verdict]) -> dict[str, ImageFacts]:
    """The facts that the verdicts are about. Nothing leaves here that does not hold."""
    for verdict in verdicts:
        if not verdict.passes:
            raise VerifyFailed("publishing images", "they are not what the contract says")
    subjects = [subject for verdict in verdicts for subject in verdict.subjects]
    return {subject.name: subject.image for subject in subjects if subject.image}


def _push(engine: Engine, identity: str, reference: str) -> None:
    """By what was verified: the tag in the engine may have been moved meanwhile."""
    console.say(f"  {reference}")
    action = f"pushing {reference}"
    there = engine.image(reference)
    with translating(action, RegistryUnavailable, HINT_LOGIN):
        engine.docker.image.tag(identity, reference)
        try:
            engine.docker.image.push(reference, quiet=True)
        finally:
            if there is None:
                engine.docker.image.remove(reference)  # the name; the image has another


def _arrived(contract: Contract, engine: Engine, image: ImageFacts, reference: Reference) -> str:
    """The digest of what was pushed, once that is what was verified."""
    digest, _ = resolve(reference)
    place = f"{SCHEME}{reference.by(digest)}"
    found = read_images(engine, [place], contract.cache)[place]
    if found is None or not _same(found, image):
        raise _something_else(reference, image.identity, digest)
    return digest


def _same(one: ImageFacts, other: ImageFacts) -> bool:
    """Whether both are of one image. Its id says so, but containerd's store has another sort."""
    if one.identity == other.identity:
        return True
    told: dict[str, Any] = {"reference": "", "identity": "", "record": None}
    told |= {"history": (), "layers": ()}  # told in other words; compared by themselves
    layers = [[layer.diff_id for layer in image.layers] for image in (one, other)]
    return layers[0] == layers[1] and replace(one, **told) == replace(other, **told)


def _something_else(reference: Reference, wanted: str, found: str) -> StackFailed:
    return StackFailed(
        f"reading {reference} back",
        f"it is not what was verified: {found} in place of {wanted}",
        hint="does somebody else push under this name? Use a tag of your own",
    )


@dataclass(frozen=True)
class _About:
    """What a release says of all its images together."""

    revision: str
    base: Base | None
    locks: Mapping[str, str]


def _about(contract: Contract, verdicts: Sequence[Verdict]) -> _About:
    """By what the images say of themselves, and the lock files that they were held to."""
    images = _facts(verdicts).values()
    revisions = {image.labels[REVISION] for image in images if image.labels.get(REVISION)}
    bases = {
        (image.labels[BASE_NAME], image.labels[BASE_DIGEST])
        for image in images
        if image.labels.get(BASE_NAME) and re.fullmatch(DIGEST, image.labels.get(BASE_DIGEST, ""))
    }
    base = _only("bases", bases)
    return _About(
        revision=_only("commits", revisions) or "",
        base=Base(reference=base[0], digest=base[1]) if base else None,
        locks=_locks(contract, _facts(verdicts)),
    )


def _only(what: str, found: set[Any]) -> Any:
    """The one thing that is found; None where there is none."""
    if len(found) > 1:
        said = "; ".join(sorted(" ".join(one) if isinstance(one, tuple) else one for one in found))
        raise VerifyFailed(
            "publishing images",
            f"they do not belong together: they are of several {what}: {printable(said)}",
            hint="`./inv build` makes all of them anew",
        )
    return next(iter(found), None)


def _locks(contract: Contract, names: Iterable[str]) -> dict[str, str]:
    """Each lock file that an image was held to, with the digest of its content."""
    images = [contract.images[name] for name in names]
    paths = {path for image in images for path in (image.lock, image.npm_lock) if path}
    return {path: _sha256((contract.root / path).read_bytes()) for path in sorted(paths)}


def _judged(name: str, terms: ServiceContract, verdicts: Sequence[Verdict]) -> Judged:
    results = [result for verdict in verdicts for result in verdict.results]
    count = Counter(result.status for result in results if result.subject == name)
    return Judged(
        digest=f"sha256:{_contract_digest(terms)}",
        passed=count["pass"],
        waived=count["waived"],
        warning=count["warning"],
        not_run=count["not run"],
    )


def _contract_digest(service: ServiceContract) -> str:
    text = json.dumps(service.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _release(about: _About, images: Mapping[str, Released]) -> Release:
    return Release(
        created=datetime.now(tz=UTC).replace(microsecond=0),
        revision=about.revision,
        base=about.base,
        locks=dict(about.locks),
        images=dict(images),
    )


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
