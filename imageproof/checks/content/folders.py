"""Folders of an image that hold unwanted files, such as caches, with their sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.files import finding_at

if TYPE_CHECKING:
    from imageproof.checks.check import Finding
    from imageproof.image.facts import File, ImageFacts, Layer


def unwanted_folders(
    facts: ImageFacts, what: str, folder_of: Callable[[str, File], str | None]
) -> Iterator[Finding]:
    """Yield one finding for each unwanted folder, the largest first.

    Args:
        facts: The image.
        what: The kind of folder, for the message.
        folder_of: Returns the unwanted folder of a file, or None.
    """
    sizes: dict[str, int] = defaultdict(int)
    layers: dict[str, Layer] = {}
    for path, (file, layer) in facts.files.items():
        if file.kind != "folder" and (folder := folder_of(path, file)):
            sizes[folder] += file.size
            layers[folder] = layer
    for folder in sorted(sizes, key=lambda folder: (-sizes[folder], folder)):
        yield unwanted_folder(folder, layers[folder], what, sizes[folder])


def unwanted_folder(
    folder: str, layer: Layer, what: str, size: int, *, warning: bool = False
) -> Finding:
    """Return the finding for an unwanted folder of `size` bytes."""
    message = f"/{folder}: {what}, {size / 1000:,.1f} kB"
    return finding_at(folder, layer, message, measured=size, warning=warning)
