"""Helpers for findings about the files of an image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding

if TYPE_CHECKING:
    from imageproof.image.facts import File, Layer

Entry = tuple["File", "Layer"]  # a visible file and the layer that brought it
Entries = Mapping[str, Entry]  # by path, without the leading slash

# Sticky folders that every user may write on every system (FHS 3.0; hier(7)).
SHARED_FOLDERS = frozenset({"tmp", "var/tmp", "run/lock", "var/lock", "dev/shm", "dev/mqueue"})
MAX_PATHS = 5  # paths listed in one message


def list_paths(paths: Iterable[str]) -> str:
    """Return the first paths as text: `/a, /b and 3 more`."""
    ordered = sorted(paths)
    text = ", ".join(f"/{path}" for path in ordered[:MAX_PATHS])
    more = len(ordered) - MAX_PATHS
    return f"{text} and {more} more" if more > 0 else text


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Return whether a path is one of these folders or inside one. Slashes at the ends are free."""
    path = path.strip("/")
    names = (folder.strip("/") for folder in folders)
    return any(not name or path == name or path.startswith(f"{name}/") for name in names)


def finding_at(
    path: str,
    layer: Layer,
    message: str,
    *,
    measured: int | str | None = None,
    bound: int | str | None = None,
    unknown: bool = False,
    warning: bool = False,
) -> Finding:
    """Return a finding whose place is a file or folder, its layer and the layer's instruction."""
    return Finding(
        message,
        file=f"/{path}",
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=measured,
        bound=bound,
        unknown=unknown,
        warning=warning,
    )


def findings_by_layer(entries: Entries, problem: str) -> Iterator[Finding]:
    """Yield one finding for each layer, which lists the first files."""
    paths_of: dict[str, list[str]] = defaultdict(list)
    for path, (_, layer) in entries.items():
        paths_of[layer.diff_id].append(path)
    for paths in paths_of.values():
        layer = entries[paths[0]][1]
        message = f"{problem}: {list_paths(paths)}"
        yield finding_at(min(paths), layer, message, measured=len(paths))
