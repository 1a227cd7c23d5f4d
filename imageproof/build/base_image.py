"""The base image: the configured one, else the default, else one made from Debian's packages.

The Dockerfiles need the same from all three: `python3.11` on PATH (in /usr or /usr/local), glibc,
apt, and CA certificates.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imageproof import apt
from imageproof.console import say
from imageproof.docker.environment import compose_variable
from imageproof.docker.errors import translating
from imageproof.docker.replaced_images import remove_replaced_images
from imageproof.errors import (
    BaseUnavailable,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
    UsageError,
)
from imageproof.registry.reference import parse_reference
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

Origin = Literal["named", "present", "pulled", "made"]
RECIPE_LABEL = "io.imageproof.recipe"
DOCKER_YEAR = 2013  # no image is older than Docker
# A build needs no manuals and translations; licences stay.
_MMDEBSTRAP_OPTIONS = (
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)

_HINT = (
    "as root, `./inv provision` makes one from Debian's packages; "
    "or set {variable} to an image that this machine can pull"
)


class MmdebstrapMissing(BaseUnavailable):
    """The base image could be made on this machine if mmdebstrap were installed."""


@dataclass(frozen=True)
class BaseImage:
    """The base image of a build.

    Attributes:
        reference: the image's name.
        digest: its digest in its repository, or its id in the engine; "" if unknown.
        origin: named by the user; the default, present or pulled; or made on this machine.
        created: when it was built; None if unknown.
    """

    reference: str
    digest: str
    origin: Origin
    created: datetime | None = None

    def __str__(self) -> str:
        """Return reference, origin and shortened digest, for the build's output."""
        return f"{self.reference} ({self.origin}, {self.digest[:19] or 'unknown digest'})"


def find_local(contract: Contract, engine: Engine) -> BaseImage | None:
    """Return the base image if the engine has it: the named one, else the default or made one.

    A made one counts only if it was made by the present recipe: suite and packages.
    """
    base = contract.base
    candidates: list[tuple[str, Origin]]
    if named := _named_reference(contract):
        candidates = [(named, "named")]
    else:
        candidates = [(base.image, "present"), (base.local_tag, "made")]
    images = engine.images([reference for reference, _ in candidates])
    for reference, origin in candidates:
        image = images.get(reference)
        if image and (origin != "made" or _recipe_of(image) == _recipe(contract)):
            return _base_image(reference, image, origin)
    return None


def resolve(contract: Contract, engine: Engine) -> BaseImage:
    """Return the base image: find it in the engine, else pull it, else make it.

    If the engine has it, no registry is contacted.

    Raises:
        BaseUnavailable: it can neither be pulled nor made.
    """
    if image := find_local(contract, engine):
        return image
    if named := _named_reference(contract):
        return _pull(contract, engine, named, "named")
    return _pull_or_make(contract, engine)


def refresh(contract: Contract, engine: Engine) -> BaseImage:
    """Return the newest base image: pull it even if the engine has it, or make it again.

    Raises:
        BaseUnavailable: it can neither be pulled nor made.
    """
    named = _named_reference(contract)
    if named == contract.base.local_tag:
        return make(contract, engine)
    return _pull(contract, engine, named, "named") if named else _pull_or_make(contract, engine)


def for_remote_builder(contract: Contract) -> BaseImage:
    """Return the base image for a builder that pulls it itself, without this machine's engine.

    Raises:
        UsageError: the image exists in this machine's engine only, or its registry lacks it.
    """
    reference = _named_reference(contract) or contract.base.image
    if reference == contract.base.local_tag:
        raise UsageError(
            f"looking for the base image {reference}",
            "it exists in this machine's engine only, and the builder cannot see it",
            hint=f"push it to a registry, and set {contract.base.variable} to that reference",
        )
    try:
        parsed = parse_reference(reference)
    except UsageError:  # no host: the builder's own default registry
        return BaseImage(reference, "", "named")
    if parsed.digest:
        return BaseImage(reference, parsed.digest, "named")
    from imageproof.registry.client import Registry
    from imageproof.registry.copy import require_manifest

    with Registry(parsed.host) as registry:
        return BaseImage(reference, require_manifest(registry, parsed).digest, "named")


def make(contract: Contract, engine: Engine) -> BaseImage:
    """Make the base image from Debian's packages, with mmdebstrap and this machine's mirror.

    Raises:
        MmdebstrapMissing: mmdebstrap is not installed.
        BaseUnavailable: mmdebstrap or the import of its archive failed.
        NoSpace: the disk is full.
    """
    base = contract.base
    action = f"making the base image {base.local_tag} from Debian's packages"
    if not shutil.which("mmdebstrap"):
        raise MmdebstrapMissing(action, "mmdebstrap is not installed", hint=_hint(contract))
    say(f"  making {base.local_tag} from Debian's packages (about a minute)")
    former = engine.image(base.local_tag)
    with tempfile.TemporaryDirectory(prefix="imageproof-base-") as folder:
        archive = Path(folder, "base.tar")
        _run_mmdebstrap(contract, archive, action)
        with translating(action, BaseUnavailable):
            image = engine.whales.image.import_(
                str(archive),
                base.local_tag,
                changes=[
                    f"LABEL org.opencontainers.image.title=python-base-{base.suite}",
                    f"LABEL {RECIPE_LABEL}={_recipe(contract)}",
                ],
            )
    if former:
        remove_replaced_images(engine, [former["Id"]])
    return BaseImage(base.local_tag, image.id, "made", datetime.now(UTC))


def _run_mmdebstrap(contract: Contract, archive: Path, action: str) -> None:
    """Write the file system of the base image to a tar archive."""
    base = contract.base
    command = [
        "mmdebstrap",
        *_MMDEBSTRAP_OPTIONS,
        f"--include={','.join(base.packages)}",
        base.suite,
        str(archive),
        *apt.mirror_lines(base.suite),  # if empty: mmdebstrap's default mirror
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        tail = clean_lines(result.stderr)
        if "No space left" in result.stderr:
            raise NoSpace(
                action,
                "no space is left on this machine",
                tail=tail,
                hint="`df -h` shows the full disk; TMPDIR names a folder on another one",
            )
        raise BaseUnavailable(action, "mmdebstrap failed", tail=tail, hint=_hint(contract))


def _recipe(contract: Contract) -> str:
    """Return the digest of what a made base image depends on, besides the date."""
    base = contract.base
    text = json.dumps([base.suite, sorted(base.packages), _MMDEBSTRAP_OPTIONS])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _recipe_of(image: Mapping[str, Any]) -> str | None:
    labels = image["Config"].get("Labels") or {}
    recipe: str | None = labels.get(RECIPE_LABEL)
    return recipe


def _hint(contract: Contract) -> str:
    return _HINT.format(variable=contract.base.variable)


def _named_reference(contract: Contract) -> str | None:
    """Return the base image that the environment or .env names."""
    return compose_variable(contract.root, contract.base.variable)


def _pull_or_make(contract: Contract, engine: Engine) -> BaseImage:
    try:
        return _pull(contract, engine, contract.base.image, "pulled")
    except (EngineUnavailable, NoSpace):  # making one would fail too
        raise
    except ImageproofError as error:
        say(f"  {contract.base.image} cannot be pulled: {error.cause}")
    return make(contract, engine)


def _pull(contract: Contract, engine: Engine, reference: str, origin: Origin) -> BaseImage:
    action = f"pulling the base image {reference}"
    hint = _hint(contract)
    if origin == "named":
        hint = f"set {contract.base.variable} to an image that this machine can pull, or unset it"
    say(f"  pulling {reference}")
    try:
        with translating(action, BaseUnavailable, hint):
            engine.whales.image.pull(reference, quiet=True)
    except RegistryUnavailable as error:
        error.hint = f"{error.hint}. Without this registry: {hint}"
        raise
    image = engine.image(reference)
    if image is None:
        raise BaseUnavailable(action, "the engine lacks it after the pull", hint=hint)
    return _base_image(reference, image, origin)


def _base_image(reference: str, image: Mapping[str, Any], origin: Origin) -> BaseImage:
    """Return a base image of the engine, with its digest in the repository of its reference.

    An image that was made on this machine has no such digest: its id is used instead, even if
    the image was pushed to another repository.

    Args:
        reference: the image's name.
        image: its `docker image inspect`.
        origin: where it comes from.
    """
    pairs = (pair.split("@") for pair in image.get("RepoDigests") or [])
    own = _repository(reference)
    digests = [digest for repository, digest in pairs if _repository(repository) == own]
    digest = digests[0] if digests else image["Id"]
    return BaseImage(reference, digest, origin, _created(image))


def _created(image: Mapping[str, Any]) -> datetime | None:
    """Return when an image was built; None if it has no date, or a reproducible build's epoch."""
    try:
        created = datetime.fromisoformat(image.get("Created") or "")
    except ValueError:
        return None
    return created if created.tzinfo and created.year >= DOCKER_YEAR else None


def _repository(reference: str) -> str:
    """Return the repository of a reference as the engine lists it: without Docker Hub's host."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return re.sub(r"^docker\.io/(library/)?", "", f"{folder}{slash}{last.partition(':')[0]}")
