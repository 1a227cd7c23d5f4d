"""Sample upgrades of packages."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.change import Change, FileChange, FileKind, Version

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=200)
PACKAGE = "left-pad"


def version(number: str, manifest: Mapping[str, Any], metadata: Mapping[str, Any]) -> Version:
    """Return a version. By default it was published long ago, always by the same publisher."""
    defaults: dict[str, Any] = {
        "integrity": "sha512-x",
        "tarball_bytes": 1000,
        "unpacked_bytes": 5000,
        "manifest": {"name": PACKAGE, "version": number, "main": "index.js", **manifest},
        "published": LONG_AGO,
        "publisher": "maintainer",
    }
    return Version(number, **{**defaults, **metadata})


def upgrade(
    *files: FileChange,
    old_manifest: Mapping[str, Any] | None = None,
    new_manifest: Mapping[str, Any] | None = None,
    old_metadata: Mapping[str, Any] | None = None,
    new_metadata: Mapping[str, Any] | None = None,
) -> Change:
    """Return an upgrade.

    Args:
        *files: the files that differ.
        old_manifest: fields of the old version's package.json.
        new_manifest: fields of the new version's package.json.
        old_metadata: the registry's metadata of the old version: fields of `Version`.
        new_metadata: the registry's metadata of the new version.
    """
    return Change(
        package=PACKAGE,
        old=version("1.2.0", old_manifest or {}, old_metadata or {}),
        new=version("1.2.1", new_manifest or {}, new_metadata or {}),
        files=tuple(sorted(files, key=lambda file: file.path)),
        diff="",
    )


def changed_file(
    path: str, *lines: str, removed_lines: tuple[str, ...] = (), start: int = 10
) -> FileChange:
    """Return a modified text file, with added lines from line `start` on."""
    return replace(
        added_file(path, *lines),
        status="modified",
        added_lines=tuple(enumerate(lines, start)),
        removed_lines=removed_lines,
        longest_line_before=max(map(len, removed_lines), default=80),
    )


def added_file(path: str, *lines: str, executable: bool = False) -> FileChange:
    """Return an added text file."""
    return FileChange(
        path=path,
        status="added",
        kind="text",
        size=sum(len(line.encode("utf-8", "replace")) + 1 for line in lines),
        added_lines=tuple(enumerate(lines, 1)),
        longest_line=max(map(len, lines), default=0),
        executable=executable,
    )


def binary_file(path: str, kind: FileKind = "binary", *, modified: bool = False) -> FileChange:
    """Return an added or modified file that is not a text."""
    status = "modified" if modified else "added"
    return FileChange(path, status, kind, size=4096, note="binary")


def removed_file(path: str, *lines: str) -> FileChange:
    """Return a removed text file."""
    longest = max(map(len, lines), default=0)
    return FileChange(
        path, "removed", "text", size=0, removed_lines=lines, longest_line_before=longest
    )
