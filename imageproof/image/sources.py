"""Images wherever they are: in engine, file, folder or registry. One call reads them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.errors import StackFailed, UsageError
from imageproof.image import cache as kept
from imageproof.image import registry_source
from imageproof.image.archive import Contents, Known, image_of_folder, image_of_tar, read_tar
from imageproof.image.config import Steps, from_blob, from_inspect, steps_of, steps_told
from imageproof.image.facts import ImageFacts, Layer
from imageproof.image.oci_layout import MISSHAPEN, Found
from imageproof.image.registry_source import image_of_registry, is_remote

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
Inspected = Mapping[str, Mapping[str, Any]]


def is_archive(reference: str) -> bool:
    """Whether a file or folder is meant: it begins with ./, ../ or /, or ends as archives do."""
    return reference.startswith(("./", "../", "/")) or reference.endswith(ARCHIVES)


def is_outside_engine(reference: str) -> bool:
    """Whether an image that need not be in the engine is meant."""
    return is_archive(reference) or is_remote(reference)


def read_images(
    engine: Engine, references: Sequence[str], cache: Path, platform: str | None = None
) -> dict[str, ImageFacts | None]:
    """The facts of each image; None where the engine has no such image.

    Layers that the cache does not have are read in one stream for all images together. `platform`
    is for what is not in the engine, and may hold images for several. Raises UsageError for what
    is not there, StackFailed for what is no image, RegistryUnavailable.
    """
    found: dict[str, ImageFacts | None] = dict.fromkeys(references)
    for reference in filter(is_outside_engine, references):
        found[reference] = _read_elsewhere(reference, cache, platform)
    if named := [reference for reference in found if not is_outside_engine(reference)]:
        found.update(_of_engine(engine, engine.images(named), cache))
    return found


def _diff_ids(image: Mapping[str, Any]) -> list[str]:
    """The layers of an image; one that has none may not even have the key."""
    return (image.get("RootFS") or {}).get("Layers") or []


def _of_engine(engine: Engine, inspected: Inspected, cache: Path) -> dict[str, ImageFacts]:
    layers = _layers(engine, inspected, cache)
    found = {}
    for reference, image in inspected.items():
        wanted = _diff_ids(image)
        steps = kept.find_steps(cache, image["Id"])
        if steps is None:
            steps = steps_told(engine.history(reference), len(wanted))
            kept.keep_steps(cache, image["Id"], steps)
        made = tuple(_made([layers[diff_id] for diff_id in wanted], steps))
        found[reference] = from_inspect(reference, image, steps.history, made)
    return found


def _layers(engine: Engine, inspected: Inspected, cache: Path) -> dict[str, Layer]:
    """Every layer of these images, by its diff_id."""
    wanted = {diff_id for image in inspected.values() for diff_id in _diff_ids(image)}
    found = {diff_id: layer for diff_id in wanted if (layer := kept.find(cache, diff_id))}
    unread = {r: image for r, image in inspected.items() if set(_diff_ids(image)) - found.keys()}
    if unread:
        what = f"what the engine saved of {', '.join(unread)}"
        with closing(engine.save(list(unread))) as stream:
            contents = read_tar(stream, what, found.get, trusted=True)
        for layer in contents.layers.values():
            if layer.diff_id not in found:
                kept.keep(cache, layer)
            found[layer.diff_id] = layer
        _keep_steps(contents, unread, cache)
    if missing := wanted - found.keys():
        raise StackFailed(
            "reading the layers of images",
            f"the engine did not give {', '.join(sorted(missing))}",
            hint="its store may be damaged: build or pull the image anew",
        )
    return found


def _keep_steps(contents: Contents, unread: Inspected, cache: Path) -> None:
    """What made the images, by their configurations in the stream: exact, and no further question.

    Where it is not to be had of them, `docker history` is asked."""
    try:
        configs = {
            tag: entry["Config"]
            for entry in contents.document("manifest.json")
            for tag in (entry["Config"].rpartition("/")[2], *(entry.get("RepoTags") or ()))
        }
        for image in unread.values():
            for name in (image["Id"].partition(":")[2], *(image.get("RepoTags") or ())):
                if name in configs:
                    config = contents.document(configs[name])
                    steps = steps_of(config, len(_diff_ids(image)))
                    kept.keep_steps(cache, image["Id"], steps)
                    break
    except (StackFailed, *MISSHAPEN):
        return


def _read_elsewhere(reference: str, cache: Path, platform: str | None) -> ImageFacts:
    known = partial(kept.find, cache)
    if is_remote(reference):
        found = image_of_registry(registry_source.named(reference), known, platform)
    else:
        found = _read_archive(Path(reference), known, platform)
    for layer in found.layers:
        if known(layer.diff_id) is None:
            kept.keep(cache, layer)
    steps = steps_of(found.config, len(found.layers))
    made = tuple(_made(found.layers, steps))
    return from_blob(reference, found.identity, found.config, steps.history, made)


def _read_archive(path: Path, known: Known, platform: str | None) -> Found:
    action = "reading an image"
    if not (path.is_file() or path.is_dir()):
        raise UsageError(
            action, f"there is no file or folder {path}", hint="an image's name has no such ending"
        )
    try:
        return (image_of_folder if path.is_dir() else image_of_tar)(path, known, platform)
    except OSError as error:
        raise UsageError(
            action, f"{path}: {error.strerror}", hint="is it yours to read?"
        ) from error


def _made(layers: Sequence[Layer], steps: Steps) -> Iterator[Layer]:
    for layer, by in zip(layers, steps.made, strict=True):
        yield replace(layer, instruction=by)
