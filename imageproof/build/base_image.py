"""The base image: the one named, else python:3.11-slim, else one made from Debian's packages.

All three keep one promise, and the Dockerfiles need no more: `python3.11` on PATH, glibc, apt,
and CA certificates. Python may lie in /usr or in /usr/local.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imageproof import apt
from imageproof.console import say
from imageproof.docker.client import Engine
from imageproof.docker.environment import compose_variable
from imageproof.docker.errors import translating
from imageproof.errors import (
    BaseUnavailable,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    UsageError,
)
from imageproof.registry.client import Registry
from imageproof.registry.copy import require_manifest
from imageproof.registry.reference import parse_reference
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.contract import Contract

Origin = Literal["named", "present", "pulled", "made"]

HINT = (
    "as root, `./inv provision` makes one from Debian's packages; "
    "or name an image that this machine can pull in {variable}"
)


class BuilderMissing(BaseUnavailable):
    """The base could be made here, if mmdebstrap were installed."""


@dataclass(frozen=True)
class BaseImage:
    """The base that a build stands on."""

    reference: str
    digest: str
    origin: Origin

    def __str__(self) -> str:
        return f"{self.reference} ({self.origin}, {self.digest[:19] or 'of whatever digest'})"


def find_local(contract: Contract, engine: Engine) -> BaseImage | None:
    """The base that the engine has already: the named one, the default, or the one made here."""
    base = contract.base
    roads: list[tuple[str, Origin]] = [(base.image, "present"), (base.local_tag, "made")]
    if named := _named(contract):
        roads = [(named, "named")]
    there = engine.images([reference for reference, _ in roads])
    for reference, origin in roads:
        if image := there.get(reference):
            return _found(reference, image, origin)
    return None


def resolve(contract: Contract, engine: Engine) -> BaseImage:
    """Find the base, pull it or make it, in that order.

    A base that was made here is used again without asking a registry: `./inv provision` asks.
    Raises BaseUnavailable where none of the roads leads to one.
    """
    if image := find_local(contract, engine):
        return image
    if named := _named(contract):
        return _pull(engine, named, "named", contract)
    return acquire(contract, engine)


def elsewhere(contract: Contract) -> BaseImage:
    """The base for a builder that sees nothing of this machine's engine: it pulls it itself.

    Raises UsageError for one that was made here, and for one that its registry has not.
    """
    reference = _named(contract) or contract.base.image
    action = f"looking for the base image {reference}"
    if reference == contract.base.local_tag:
        raise UsageError(
            action,
            "it was made in this machine's engine, where the builder does not look",
            hint=f"push it to a registry, and name it there in {contract.base.variable}",
        )
    try:
        named = parse_reference(reference)
    except UsageError:  # without a host: whatever the builder takes it for
        return BaseImage(reference, "", "named")
    if named.digest:
        return BaseImage(reference, named.digest, "named")
    with Registry(named.host) as registry:
        return BaseImage(reference, require_manifest(registry, named).digest, "named")


def acquire(contract: Contract, engine: Engine) -> BaseImage:
    """Pull the default base, or make one. Raises BaseUnavailable."""
    base = contract.base
    try:
        return _pull(engine, base.image, "pulled", contract)
    except (EngineUnavailable, NoSpace):
        raise
    except ImageproofError as error:
        say(f"  {base.image} cannot be pulled: {error.cause}")
    if image := engine.image(base.local_tag):
        return _found(base.local_tag, image, "made")
    return make(contract, engine)


def _named(contract: Contract) -> str | None:
    """The base that the environment, or else .env, names."""
    return compose_variable(contract.root, contract.base.variable)


def _found(reference: str, image: Mapping[str, Any], origin: Origin) -> BaseImage:
    """A base that is in the engine, by the digest that its own repository has it under. One that
    came from no registry is told by its id, wherever else the same image may have been pushed."""
    pairs = (pair.split("@") for pair in image.get("RepoDigests") or [])
    own = _repository(reference)
    digests = [digest for repository, digest in pairs if _repository(repository) == own]
    return BaseImage(reference, digests[0] if digests else image["Id"], origin)


def _repository(reference: str) -> str:
    """The name without tag and digest, as the engine lists it: Docker Hub goes without saying."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return re.sub(r"^docker\.io/(library/)?", "", f"{folder}{slash}{last.partition(':')[0]}")


def _pull(engine: Engine, reference: str, origin: Origin, contract: Contract) -> BaseImage:
    hint = HINT.format(variable=contract.base.variable)
    say(f"  pulling {reference}")
    with translating(f"pulling the base image {reference}", BaseUnavailable, hint):
        engine.docker.image.pull(reference, quiet=True)
    image = engine.image(reference)
    if image is None:
        raise BaseUnavailable(f"pulling the base image {reference}", "it is not there", hint=hint)
    return _found(reference, image, origin)


def make(contract: Contract, engine: Engine) -> BaseImage:
    """Make the base from Debian's packages by mmdebstrap, from the machine's own mirror."""
    base = contract.base
    action = f"making the base image {base.local_tag} from Debian's packages"
    hint = HINT.format(variable=base.variable)
    if not shutil.which("mmdebstrap"):
        raise BuilderMissing(action, "mmdebstrap is not installed", hint=hint)
    say(f"  making {base.local_tag} from Debian's packages (about a minute)")
    with tempfile.TemporaryDirectory(prefix="imageproof-base-") as folder:
        archive = Path(folder, "base.tar")
        result = subprocess.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={','.join(base.packages)}",
                # Manuals and translations are of no use in a build; licences are kept.
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                base.suite,
                str(archive),
                *apt.mirrors(base.suite),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            if "No space left" in result.stderr:
                raise NoSpace(
                    action, "no space is left on this machine", tail=clean_lines(result.stderr)
                )
            raise BaseUnavailable(
                action, "mmdebstrap failed", tail=clean_lines(result.stderr), hint=hint
            )
        with translating(action, BaseUnavailable):
            made = engine.docker.image.import_(
                str(archive),
                base.local_tag,
                changes=[f"LABEL org.opencontainers.image.title=python-base-{base.suite}"],
            )
    return BaseImage(base.local_tag, made.id, "made")
