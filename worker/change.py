"""What an upgrade of a package changes: the two versions, and each file that differs.

Made by ``worker/npm_diff.py`` out of what the Node program answers, read by ``worker/risk/`` and
``worker/llm/``. All of it is what strangers wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["text", "elf", "mach-o", "pe", "wasm", "archive", "binary"]


@dataclass(frozen=True)
class Version:
    """One published version of the package."""

    version: str
    integrity: str  # SRI, as the registry names it, and as the tarball was found to be
    tarball_bytes: int
    unpacked_bytes: int
    manifest: Mapping[str, Any]  # package.json, as it lies in the tarball
    published: datetime | None = None  # None: the registry does not say
    publisher: str | None = None  # who published it: npm's _npmUser.name
    provenance: bool = False  # dist.attestations names a provenance statement


@dataclass(frozen=True)
class FileChange:
    """One file that differs."""

    path: str  # without the tarball's first folder
    status: Literal["added", "removed", "modified"]
    kind: Kind  # of the new content, or of the old one where it was removed; by its first bytes
    size: int  # bytes of the new content; 0: removed
    lines: tuple[tuple[int, str], ...] = ()  # each added line of a text, with its new number
    gone: tuple[str, ...] = ()  # each removed line
    longest_before: int = 0  # characters of the longest line, in each version
    longest: int = 0
    executable: bool = False
    whole: bool = True  # all lines are here, and none is cut: else a bound was reached
    note: str = ""  # why it was not compared by lines

    @property
    def added(self) -> int:
        """How many lines were added."""
        return len(self.lines)


@dataclass(frozen=True)
class Change:
    """An upgrade, whole."""

    package: str
    old: Version
    new: Version
    files: tuple[FileChange, ...]  # by path
    diff: str  # unified, as `npm diff` prints it
    truncated: bool = False  # the diff's text was cut at its bound
    stats: Mapping[str, int] = field(default_factory=dict)
    node: str = ""  # version of the Node that compared them
