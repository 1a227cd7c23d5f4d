"""The `clean` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.docker.errors import translating
from imageproof.docker.image_tags import image_tags
from imageproof.stack import compose
from imageproof.user_cache import remove_folder

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def clean(contract: Contract, engine: Engine, *, base: bool) -> None:
    """Remove the stack with its volumes, the contract's images and its cache.

    `base`: also remove the base image that was made on this machine.
    """
    engine.require_answer()
    tags = list(image_tags(contract, engine).values())
    compose.down(engine, volumes=True)
    if base:
        tags.append(contract.base.local_tag)
    for tag in tags:
        if engine.image(tag):
            console.say(f"  removing {tag}")
            with translating(f"removing the image {tag}"):
                engine.whales.image.remove(tag, force=True)
    remove_folder(contract.root)
    console.done("clean")
