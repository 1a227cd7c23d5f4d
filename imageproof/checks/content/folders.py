"""Findings about folders of an image that hold unwanted files, such as caches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.files import finding_at

if TYPE_CHECKING:
    from imageproof.checks.check import Finding
    from imageproof.image.facts import File, ImageFacts, Layer


def findings_by_folder(
    facts: ImageFacts, content: str, folder_of: Callable[[str, File], str | None]
) -> Iterator[Finding]:
    """Yield one finding for each unwanted folder, the largest first.

    Args:
        facts: The image.
        content: The folders' content, for the message.
        folder_of: Returns the unwanted folder that contains a file, or None.
    """
    sizes: dict[str, int] = defaultdict(int)
    layers: dict[str, Layer] = {}
    for path, (file, layer) in facts.files.items():
        if file.kind != "folder" and (folder := folder_of(path, file)):
            sizes[folder] += file.size
            layers[folder] = layer
    for folder in sorted(sizes, key=lambda folder: (-sizes[folder], folder)):
        yield folder_finding(folder, layers[folder], content, sizes[folder])


def folder_finding(
    folder: str, layer: Layer, content: str, size: int, *, warning: bool = False
) -> Finding:
    """Return the finding about an unwanted folder of `size` bytes."""
    message = f"/{folder}: {content}, {size / 1000:,.1f} kB"
    return finding_at(folder, layer, message, measured=size, warning=warning)
