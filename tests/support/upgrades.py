"""Upgrades of packages, as tests make them up."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.change import Change, FileChange, Kind, Version

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=200)
PACKAGE = "left-pad"


def version(number: str, manifest: Mapping[str, Any] | None = None, **fields: Any) -> Version:
    """One version: published long ago by one publisher, unless fields say otherwise."""
    whole = {"name": PACKAGE, "version": number, "main": "index.js", **(manifest or {})}
    known: dict[str, Any] = {"published": LONG_AGO, "publisher": "maintainer", **fields}
    return Version(number, "sha512-x", 1000, known.pop("unpacked_bytes", 5000), whole, **known)


def upgrade(
    *files: FileChange,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Change:
    """An upgrade of these files, of two manifests, and with what the registry says of each."""
    return Change(
        package=PACKAGE,
        old=version("1.2.0", old, **(before or {})),
        new=version("1.2.1", new, **(after or {})),
        files=tuple(sorted(files, key=lambda file: file.path)),
        diff="",
    )


def changed(path: str, *lines: str, gone: tuple[str, ...] = (), start: int = 10) -> FileChange:
    """A text file that was there before, with these new lines from line `start` on."""
    return replace(
        added(path, *lines),
        status="modified",
        lines=tuple(enumerate(lines, start)),
        gone=gone,
        longest_before=max(map(len, gone), default=80),
    )


def added(path: str, *lines: str, executable: bool = False) -> FileChange:
    """A new text file."""
    return FileChange(
        path=path,
        status="added",
        kind="text",
        size=sum(len(line.encode("utf-8", "replace")) + 1 for line in lines),
        lines=tuple(enumerate(lines, 1)),
        longest=max(map(len, lines), default=0),
        executable=executable,
    )


def binary(path: str, kind: Kind = "binary", *, modified: bool = False) -> FileChange:
    """A file that is no text."""
    status = "modified" if modified else "added"
    return FileChange(path, status, kind, size=4096, note="binary")


def removed(path: str, *lines: str) -> FileChange:
    """A text file that is there no more."""
    return FileChange(
        path, "removed", "text", size=0, gone=lines, longest_before=max(map(len, lines), default=0)
    )
