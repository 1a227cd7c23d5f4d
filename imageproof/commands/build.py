"""The `build` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof.build import bake
from imageproof.build.options import Options, apply_context
from imageproof.image.sources import read_images
from imageproof.report import summary
from imageproof.user_cache import open_folder

if TYPE_CHECKING:
    from imageproof.build.bake import BuildResult
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def build(
    contract: Contract, engine: Engine, image: str | None, options: Options | None = None
) -> BuildResult:
    """Build one image of the contract, or all, and print their sizes."""
    engine, options = apply_context(engine, options or Options())
    result = bake.build(contract, engine, image, options)
    summary.print_build(result, _sizes(contract, engine, result, options.platforms))
    return result


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
