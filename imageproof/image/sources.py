"""Reader of images from any source: the engine, a file, a folder, a registry.

The readers are imported on use, because an image whose layers are all cached needs none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.errors import ImageDamaged, UsageError
from imageproof.image.cache import load_history, load_layer, store_history, store_layer
from imageproof.image.config import (
    BuildHistory,
    facts_from_config,
    facts_from_inspect,
    history_from_config,
    history_from_engine,
)
from imageproof.image.facts import ImageFacts, Layer
from imageproof.registry.reference import is_remote, parse_remote

if TYPE_CHECKING:
    from imageproof.docker.client import Engine
    from imageproof.image.archive import ArchiveContents, LoadCachedLayer
    from imageproof.image.oci_layout import StoredImage

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
Inspected = Mapping[str, Mapping[str, Any]]  # output of `docker image inspect`, by reference


def is_archive(reference: str) -> bool:
    """Return whether a reference is a path: it begins with ./, ../ or /, or has a tar's suffix."""
    return reference.startswith(("./", "../", "/")) or reference.endswith(ARCHIVE_SUFFIXES)


def is_outside_engine(reference: str) -> bool:
    """Return whether a reference names an archive or an image in a registry."""
    return is_archive(reference) or is_remote(reference)


def read_images(
    engine: Engine, references: Sequence[str], cache: Path | None, platform: str | None = None
) -> dict[str, ImageFacts | None]:
    """Read the facts of images; None for an image that the engine does not have.

    The engine saves all images with uncached layers in one stream.

    Args:
        engine: The engine.
        references: Names in the engine, paths of archives, `docker://` references.
        cache: Folder of cached facts; None: no cache.
        platform: Such as linux/arm64, for an image outside the engine.

    Raises:
        UsageError: There is no such archive or image in the registry.
        ImageDamaged: An image is invalid.
        RegistryUnavailable: The registry does not answer.
    """
    images: dict[str, ImageFacts | None] = dict.fromkeys(references)
    for reference in filter(is_outside_engine, references):
        images[reference] = _read_outside_engine(reference, cache, platform)
    if names := [reference for reference in images if not is_outside_engine(reference)]:
        images.update(_read_from_engine(engine, engine.images(names), cache))
    return images


def _diff_ids(inspected_image: Mapping[str, Any]) -> list[str]:
    """Return the diff_ids of an image's layers; the engine may omit the key if there are none."""
    return (inspected_image.get("RootFS") or {}).get("Layers") or []


def _read_from_engine(
    engine: Engine, inspected: Inspected, cache: Path | None
) -> dict[str, ImageFacts]:
    layers = _read_layers(engine, inspected, cache)
    images = {}
    for reference, image in inspected.items():
        diff_ids = _diff_ids(image)
        history = load_history(cache, image["Id"])
        if history is None:
            history = history_from_engine(engine.history(reference), len(diff_ids))
            store_history(cache, image["Id"], history)
        image_layers = _with_instructions([layers[diff_id] for diff_id in diff_ids], history)
        images[reference] = facts_from_inspect(reference, image, history.instructions, image_layers)
    return images


def _read_layers(engine: Engine, inspected: Inspected, cache: Path | None) -> dict[str, Layer]:
    """Return all layers of the images by diff_id; also cache the histories of saved images."""
    diff_ids = {diff_id for image in inspected.values() for diff_id in _diff_ids(image)}
    layers = {diff_id: layer for diff_id in diff_ids if (layer := load_layer(cache, diff_id))}
    unread = {
        reference: image
        for reference, image in inspected.items()
        if set(_diff_ids(image)) - layers.keys()
    }
    if unread:
        from imageproof.image.archive import read_archive

        source = f"the engine's archive of {', '.join(unread)}"
        with closing(engine.save(list(unread))) as stream:
            contents = read_archive(stream, source, layers.get, trusted=True)
        for layer in contents.layers.values():
            if layer.diff_id not in layers:
                store_layer(cache, layer)
            layers[layer.diff_id] = layer
        _store_histories(contents, unread, cache)
    if missing := diff_ids - layers.keys():
        raise ImageDamaged(
            "reading the layers of images",
            f"the engine's archive lacks {', '.join(sorted(missing))}",
            hint="the engine's store may be damaged: build or pull the image again",
        )
    return layers


def _store_histories(contents: ArchiveContents, images: Inspected, cache: Path | None) -> None:
    """Cache the build histories of the archive's configurations, which mark empty layers.

    For an image whose history is not cached, `docker history` is queried.
    """
    from imageproof.image.oci_layout import MALFORMED

    try:
        configs = _configs_by_name(contents)
        for image in images.values():
            names = (image["Id"].partition(":")[2], *(image.get("RepoTags") or ()))
            config_path = next((configs[name] for name in names if name in configs), None)
            if config_path is not None:
                config = contents.document(config_path)
                history = history_from_config(config, len(_diff_ids(image)))
                store_history(cache, image["Id"], history)
    except (ImageDamaged, *MALFORMED):
        return


def _configs_by_name(contents: ArchiveContents) -> dict[str, str]:
    """Return the path of each configuration by its file name and by the image's tags.

    The file name is the image's id in the classic image store, but not in containerd's.
    """
    configs = {}
    for image in contents.document("manifest.json"):
        for name in (image["Config"].rpartition("/")[2], *(image.get("RepoTags") or ())):
            configs[name] = image["Config"]
    return configs


def _read_outside_engine(reference: str, cache: Path | None, platform: str | None) -> ImageFacts:
    load_cached_layer = partial(load_layer, cache)
    if is_remote(reference):
        from imageproof.image.registry_source import read_registry_image

        image = read_registry_image(parse_remote(reference), load_cached_layer, platform)
    else:
        image = _read_path(Path(reference), load_cached_layer, platform)
    for layer in image.layers:
        if load_cached_layer(layer.diff_id) is None:
            store_layer(cache, layer)
    history = history_from_config(image.config, len(image.layers))
    layers = _with_instructions(image.layers, history)
    return facts_from_config(reference, image.identity, image.config, history.instructions, layers)


def _read_path(path: Path, load_cached_layer: LoadCachedLayer, platform: str | None) -> StoredImage:
    from imageproof.image.archive import read_image_tar, read_layout_folder

    action = "reading an image"
    if not (path.is_file() or path.is_dir()):
        hint = "name an archive or an OCI layout; an image's name must not look like a path"
        raise UsageError(action, f"there is no file or folder {path}", hint=hint)
    read = read_layout_folder if path.is_dir() else read_image_tar
    try:
        return read(path, load_cached_layer, platform)
    except OSError as error:
        hint = "check the permissions of the file"
        raise UsageError(action, f"{path}: {error.strerror}", hint=hint) from error


def _with_instructions(layers: Sequence[Layer], history: BuildHistory) -> tuple[Layer, ...]:
    return tuple(
        replace(layer, instruction=instruction)
        for layer, instruction in zip(layers, history.by_layer, strict=True)
    )
