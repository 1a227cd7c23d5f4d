"""Helpers for findings about the files of an image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding
from imageproof.image.facts import FileInLayer

if TYPE_CHECKING:
    from imageproof.image.facts import Layer

FilesByPath = Mapping[str, FileInLayer]  # the path has no leading slash

# Sticky folders that every user may write on every system (FHS 3.0; hier(7)).
SHARED_FOLDERS = frozenset({"tmp", "var/tmp", "run/lock", "var/lock", "dev/shm", "dev/mqueue"})
MAX_PATHS = 5  # shown in one message


def format_paths(paths: Collection[str]) -> str:
    """Return the first paths, sorted, as text: `/a, /b and 3 more`."""
    shown, more = sorted(paths)[:MAX_PATHS], len(paths) - MAX_PATHS
    text = ", ".join(f"/{path}" for path in shown)
    return f"{text} and {more} more" if more > 0 else text


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Return whether a path is one of these folders or lies in one.

    Leading and trailing slashes do not matter; the folder `/` contains every path.
    """
    path = path.strip("/")
    stripped = (folder.strip("/") for folder in folders)
    return any(folder in ("", path) or path.startswith(f"{folder}/") for folder in stripped)


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
    """Return a finding about a file or folder; `path` has no leading slash."""
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


def findings_by_layer(files: FilesByPath, problem: str) -> Iterator[Finding]:
    """Yield one finding for each layer with such files; its message shows the first paths."""
    paths_by_layer: dict[str, list[str]] = defaultdict(list)
    for path, (_, layer) in files.items():
        paths_by_layer[layer.diff_id].append(path)
    for paths in paths_by_layer.values():
        _, layer = files[paths[0]]
        message = f"{problem}: {format_paths(paths)}"
        yield finding_at(min(paths), layer, message, measured=len(paths), bound=0)
