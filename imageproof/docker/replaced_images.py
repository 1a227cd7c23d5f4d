"""Images that a later build has replaced: without a tag, and used by no container.

The engine keeps them for ever. Only ids that the caller names are removed, never another
project's images: those of a tag before a build, or of the project's containers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from imageproof.errors import ImageproofError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine


def replaced_images(
    engine: Engine, ids: Iterable[str], *, unless_used_by: Collection[str] = ()
) -> list[str]:
    """Return those of the images that have no tag and that no other container uses.

    Args:
        engine: the engine.
        ids: the images; some may not exist any more.
        unless_used_by: ids of containers that do not count.
    """
    present = engine.images(sorted(set(ids))) if ids else {}
    untagged = [id_ for id_, image in present.items() if not image.get("RepoTags")]
    return [id_ for id_ in untagged if not set(users(engine, id_)) - set(unless_used_by)]


def users(engine: Engine, image: str) -> list[str]:
    """Return the ids of the containers, running or not, that use an image."""
    command = ("container", "ls", "--all", "--quiet", "--no-trunc", f"--filter=ancestor={image}")
    return engine.query(f"looking for containers of {image[:19]}", *command).split()


def remove_replaced_images(engine: Engine, ids: Iterable[str]) -> None:
    """Remove those of the images that have no tag and no user.

    An image that cannot be removed stays: the engine refuses one that has a container by now.
    """
    with contextlib.suppress(ImageproofError):
        for id_ in replaced_images(engine, ids):
            with contextlib.suppress(ImageproofError):
                engine.query(f"removing {id_[:19]}", "image", "rm", "--no-prune", id_)
