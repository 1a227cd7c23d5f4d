"""Image references and Dockerfiles of the contract's images, from the compose file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.docker.client import Engine


def references(
    contract: Contract, engine: Engine, images: Mapping[str, ServiceContract] | None = None
) -> dict[str, str]:
    """Return the tag that the compose file gives each image.

    Raises ContractError if the compose file lacks an image's service, or its `image:`.
    """
    services = engine.compose_model(interpolate=True).get("services") or {}
    found = {}
    for name, image in (contract.images if images is None else images).items():
        service = services.get(image.service)
        if service is None or not service.get("image"):
            problem = "no such service" if service is None else "no `image:` in that service"
            raise ContractError(
                f"looking for the image {name} in {contract.compose}",
                f"its service is {image.service!r}, and there is {problem}",
                hint=f"the services are: {', '.join(services)}",
            )
        found[name] = service["image"]
    return found


def dockerfiles(
    contract: Contract, engine: Engine, images: Mapping[str, ServiceContract]
) -> dict[str, str]:
    """Return the Dockerfile of each image that Compose builds, relative to the project's root."""
    services = engine.compose_model(interpolate=True).get("services") or {}
    found = {}
    for name, image in images.items():
        build = (services.get(image.service) or {}).get("build")
        if not build:
            continue
        path = Path(build["context"], build.get("dockerfile") or "Dockerfile")
        if path.is_relative_to(contract.root):
            found[name] = str(path.relative_to(contract.root))
    return found
