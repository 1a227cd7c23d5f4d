"""Which image reference each image of the contract has: its compose service says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.docker.composed import sources
from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.contract import Contract, Image
    from imageproof.docker.client import Engine


def references(
    contract: Contract, engine: Engine, images: Mapping[str, Image] | None = None
) -> dict[str, str]:
    """The tag that the compose file gives each image.

    Raises ContractError for an image whose service the compose file lacks, or does not name.
    """
    services = sources(contract, engine)
    found = {}
    for name, image in (contract.images if images is None else images).items():
        source = services.get(image.service)
        if source is None or not source.image:
            missing = "no `image:`" if source else "no such service"
            raise ContractError(
                f"looking for the image {name} in {contract.compose}",
                f"its service is {image.service!r}, and there is {missing}",
                hint=f"the services are: {', '.join(services)}",
            )
        found[name] = source.image
    return found


def dockerfiles(contract: Contract, engine: Engine, images: Mapping[str, Image]) -> dict[str, str]:
    """The Dockerfile of each image that the compose file builds, relative to the project's root."""
    services = sources(contract, engine)
    found = {}
    for name, image in images.items():
        source = services.get(image.service)
        if source and source.dockerfile and Path(source.dockerfile).is_relative_to(contract.root):
            found[name] = str(Path(source.dockerfile).relative_to(contract.root))
    return found
