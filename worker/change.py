"""Difference between two versions of an npm package.

``worker/npm_diff.py`` builds it from the diff program's answer; ``worker/risk/`` and
``worker/llm/`` read it. All texts in it are untrusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

FileKind = Literal["text", "elf", "mach-o", "pe", "wasm", "archive", "binary"]


@dataclass(frozen=True)
class Version:
    """One published version of the package."""

    version: str
    integrity: str  # SRI from the registry; the tarball matches it
    tarball_bytes: int
    unpacked_bytes: int
    manifest: Mapping[str, Any]  # package.json in the tarball
    published: datetime | None = None  # None: the registry does not state it
    publisher: str | None = None  # npm's _npmUser.name
    provenance: bool = False  # dist.attestations names a provenance statement


@dataclass(frozen=True)
class FileChange:
    """One file that differs between the two versions."""

    path: str  # without the tarball's first folder
    status: Literal["added", "removed", "modified"]
    kind: FileKind  # of the new content, or of the old one if removed
    size: int  # bytes of the new content; 0 if removed
    added_lines: tuple[tuple[int, str], ...] = ()  # of a text: new line number, line
    removed_lines: tuple[str, ...] = ()
    longest_line_before: int = 0  # characters, in the old version
    longest_line: int = 0  # characters, in the new version
    executable: bool = False  # in the new version, or in the old one if removed
    complete: bool = True  # False if a limit left out or cut a line
    note: str = ""  # why the file was not compared by lines


@dataclass(frozen=True)
class Change:
    """An upgrade from one version of a package to another."""

    package: str
    old: Version
    new: Version
    files: tuple[FileChange, ...]  # sorted by path
    diff: str  # unified, as `npm diff` prints it
    truncated: bool = False  # a limit cut the diff's text
    stats: Mapping[str, int] = field(default_factory=dict)  # counted before limits cut lines
    node_version: str = ""  # of the Node that compared the versions
