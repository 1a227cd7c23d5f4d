"""The `build` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof.build import bake
from imageproof.build.options import Options, apply_context
from imageproof.docker.image_tags import built_tags
from imageproof.docker.project_lock import project_lock
from imageproof.docker.replaced_images import remove_replaced_images
from imageproof.image.sources import read_images
from imageproof.report import summary
from imageproof.user_cache import open_folder

if TYPE_CHECKING:
    from imageproof.build.bake import BuildResult
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def build(
    contract: Contract,
    engine: Engine,
    image: str | None,
    options: Options | None = None,
    *,
    wait: bool = True,
) -> BuildResult:
    """Build one image of the contract, or all, and print their sizes.

    The project is locked if the engine gets the images. `wait`: wait for another command.
    """
    engine, options = apply_context(engine, options or Options())
    if not options.engine_gets_result:
        if not options.builder:
            engine.require_answer()
        return build_images(contract, engine, image, options)
    with project_lock(engine, "build", wait=wait):
        return build_images(contract, engine, image, options)


def build_images(
    contract: Contract, engine: Engine, image: str | None, options: Options | None = None
) -> BuildResult:
    """Build as `build` does, for a command that holds the project's lock."""
    options = options or Options()
    old = _present_images(contract, engine) if options.engine_gets_result else []
    result = bake.build(contract, engine, image, options)
    remove_replaced_images(engine, old)
    summary.print_build(result, _sizes(contract, engine, result, options.platforms))
    return result


def _present_images(contract: Contract, engine: Engine) -> list[str]:
    """Return the ids of the images that a build may replace."""
    tags = built_tags(contract, engine)
    return [image["Id"] for image in engine.images(tags).values()] if tags else []


def _sizes(
    contract: Contract, engine: Engine, result: BuildResult, platforms: Sequence[str]
) -> dict[str, int]:
    """Return the bytes of each built image's layers, for the first platform."""
    platform = platforms[0] if platforms else None
    references = list(result.references.values())
    images = read_images(engine, references, open_folder(contract.root), platform)
    return {
        name: image.size
        for name, reference in result.references.items()
        if (image := images[reference])
    }
