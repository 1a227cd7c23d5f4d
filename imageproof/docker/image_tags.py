"""Image tags and Dockerfiles of the contract's images, from the compose file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.docker.client import Engine


def image_tags(
    contract: Contract, engine: Engine, images: Mapping[str, ServiceContract] | None = None
) -> dict[str, str]:
    """Return the tag that the compose file gives each image (default: all of the contract).

    Raises:
        ContractError: the compose file lacks an image's service, or its `image:`.
    """
    services = engine.compose_model(interpolate=True).get("services") or {}
    tags = {}
    for name, image in (contract.images if images is None else images).items():
        tag = (services.get(image.service) or {}).get("image")
        if not tag:
            problem = "has no `image:`" if image.service in services else "does not exist"
            raise ContractError(
                f"looking for the image {name} in {contract.compose}",
                f"its service {image.service!r} {problem}",
                hint=f"the services are: {', '.join(services)}",
            )
        tags[name] = tag
    return tags


def built_images(
    engine: Engine, images: Mapping[str, ServiceContract]
) -> Mapping[str, ServiceContract]:
    """Return the images whose service has a `build:` section."""
    services = engine.compose_model(interpolate=True).get("services") or {}
    return {name: image for name, image in images.items() if services[image.service].get("build")}


def built_tags(contract: Contract, engine: Engine) -> list[str]:
    """Return the tags of the contract's images that a build makes.

    Raises:
        ContractError: the compose file lacks an image's service, or its `image:`.
    """
    tags = image_tags(contract, engine)
    return [tags[name] for name in built_images(engine, contract.images)]


def dockerfiles(
    contract: Contract, engine: Engine, images: Mapping[str, ServiceContract]
) -> dict[str, str]:
    """Return the Dockerfile of each image that Compose builds, relative to the project's root."""
    services = engine.compose_model(interpolate=True).get("services") or {}
    files = {}
    for name, image in images.items():
        build = (services.get(image.service) or {}).get("build")
        if not build:
            continue
        path = Path(build["context"], build.get("dockerfile") or "Dockerfile")
        if path.is_relative_to(contract.root):
            files[name] = str(path.relative_to(contract.root))
    return files
