"""Objects of a compose project in the engine, and their removal.

Compose's own `down` leaves anonymous volumes, which no later container mounts again, and images
that a build has replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imageproof.console import warn
from imageproof.docker.replaced_images import remove_replaced_images, replaced_images
from imageproof.errors import ImageproofError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

_ANONYMOUS = re.compile("[0-9a-f]{64}")  # name of a volume that was given none


@dataclass(frozen=True)
class StackObjects:
    """Objects that `down` removes, by name; containers and images also by id.

    Attributes:
        containers: by id, orphans and those of `docker compose run` included.
        networks: names.
        volumes: named volumes; empty unless they are removed too.
        anonymous_volumes: of the containers.
        images: ids of the containers' images. Those that a build replaced are removed.
    """

    containers: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    anonymous_volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    def describe(self, engine: Engine) -> Iterator[str]:
        """Yield each object that `down` removes, such as `container shop-api-1`."""
        yield from (f"container {name}" for name in sorted(self.containers.values()))
        yield from (f"network {name}" for name in self.networks)
        yield from (f"volume {name}" for name in self.volumes)
        yield from (f"anonymous volume {name}" for name in self.anonymous_volumes)
        for image in replaced_images(engine, self.images, unless_used_by=self.containers):
            yield f"untagged image {image}"

    def __str__(self) -> str:
        """Return the number of objects of each kind, such as `2 containers, 1 network`."""
        counts = {
            "container": len(self.containers),
            "network": len(self.networks),
            "volume": len(self.volumes),
            "anonymous volume": len(self.anonymous_volumes),
        }
        parts = [f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items() if n]
        return ", ".join(parts) or "nothing"


def stack_objects(engine: Engine, *, volumes: bool) -> StackObjects:
    """Return the objects that `down` removes; `volumes`: named ones too."""
    containers = engine.containers(one_off=True)
    label = f"com.docker.compose.project={engine.project_name}"
    return StackObjects(
        containers={item["Id"]: item["Name"].lstrip("/") for item in containers},
        networks=tuple(sorted(engine.names_with_label("network", label))),
        volumes=tuple(sorted(engine.names_with_label("volume", label))) if volumes else (),
        anonymous_volumes=anonymous_volumes(engine, containers),
        images=tuple(sorted({item["Image"] for item in containers})),
    )


def anonymous_volumes(engine: Engine, containers: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of the containers' anonymous volumes."""
    # By the name: the engine labels only a part of them. A container that Compose replaced mounts
    # the volume of the old one by its name, so that `docker rm --volumes` leaves it.
    mounts = [mount for item in containers for mount in item.get("Mounts") or ()]
    mounted = {str(mount["Name"]) for mount in mounts if mount["Type"] == "volume"}
    declared = engine.compose_model(interpolate=True).get("volumes") or {}
    named = {keys.get("name") for keys in declared.values() if keys}
    return tuple(sorted(name for name in mounted - named if _ANONYMOUS.fullmatch(name)))


def remove_leftovers(engine: Engine, objects: StackObjects) -> None:
    """Remove what Compose's `down` has left, such as anonymous volumes and replaced images.

    What another container uses stays, with a warning.
    """
    label = f"com.docker.compose.project={engine.project_name}"
    names = set(objects.containers.values())
    for container in names & set(engine.names_with_label("container", label)):
        _remove(engine, "container", container)
    for network in set(objects.networks) & set(engine.names_with_label("network", label)):
        _remove(engine, "network", network)
    remove_volumes(engine, (*objects.volumes, *objects.anonymous_volumes))
    remove_replaced_images(engine, objects.images)


def remove_volumes(engine: Engine, names: Sequence[str]) -> None:
    """Remove the volumes of these names that exist; one in use stays, with a warning."""
    if names:
        existing = set(engine.query("listing volumes", "volume", "ls", "--quiet").split())
        for name in sorted(existing & set(names)):
            _remove(engine, "volume", name)


def _remove(engine: Engine, kind: str, name: str) -> None:
    try:
        engine.remove(kind, [name])
    except ImageproofError as error:
        warn(f"the {kind} {name} stays: {error.cause}")
