"""Role of a file in its package: code, test, data or document."""

import re
import weakref
from collections.abc import Iterator, Mapping
from enum import Enum

from worker.change import Change, FileChange
from worker.risk.entries import Entries, entry_points, loaded_names

INACTIVE_SHARE = 0.25
"""Share of a signal's weight in tests, examples and comments, which do not run by themselves."""

_TEST_FOLDER = re.compile(
    r"(?:^|/)(?:__)?(?:tests?|specs?|fixtures?|mocks?|e2e|examples?|demos?|bench(?:marks?)?)(?:__)?/",
    re.IGNORECASE,
)
_TEST_NAME = re.compile(r"\.(?:test|spec|bench)\.\w{1,4}$")
_DOCUMENT = re.compile(
    r"\.(?:md|markdown|mdx|rst|adoc|txt|html?|css|scss|sass|less|svg|map|flow|d\.[cm]?ts)$"
    r"|(?:^|/)(?:licen[cs]e|notice|authors|changelog|changes|history|readme)[^/.]{0,40}$",
    re.IGNORECASE,
)
_DATA = re.compile(
    r"\.(?:jsonc?|json5|ya?ml|toml|xml|csv|tsv|lock|snap|ini|graphql|proto)$", re.IGNORECASE
)
# What such a file needs to do anything, if Node runs it.
_JAVASCRIPT = re.compile(
    r"\b(?:require|import|eval|Function|fetch)\s{0,8}\(|\b(?:process|module|globalThis|exports)"
    r"\s{0,8}(?:\.|\[)|\bfrom\s{0,8}[\"'](?:node:|\.)|\.constructor\b"
)
_NEVER_CODE = re.compile(r"\.json$")  # Node parses it, case-sensitively


class Role(Enum):
    """Role of a file. A file without another role is code: Node runs files of any name."""

    CODE = "code"
    TEST = "test"  # or example
    DATA = "data"
    DOCUMENT = "document"


def named_role(path: str) -> Role:
    """Return the role of a file by its path alone."""
    if _DATA.search(path):
        return Role.DATA
    if _DOCUMENT.search(path):
        return Role.DOCUMENT
    return Role.TEST if is_test(path) else Role.CODE


def file_role(path: str, entries: Entries) -> Role:
    """Return the role of a file by its path; an entry point is code under any name."""
    role = named_role(path)
    if _NEVER_CODE.search(path) or role is Role.CODE:
        return role
    starts_folder = role is Role.TEST and path.rpartition("/")[0] in entries.paths
    return Role.CODE if path in entries or starts_folder else role


class Roles:
    """Roles of the files of one change.

    A file that the package starts, or that its changed code loads, is code under any name.
    """

    def __init__(self, change: Change) -> None:
        """Compute them."""
        self.entries = entry_points(change.new.manifest)
        old_entries = entry_points(change.old.manifest)
        self.new_entries = self.entries.paths - old_entries.paths
        self.by_path: dict[str, Role] = {
            file.path: file_role(
                file.path, old_entries if file.status == "removed" else self.entries
            )
            for file in change.files
        }
        self._loaded = self._loaded_files(change)
        for file in change.files:
            role = self.by_path[file.path]
            is_data = role is Role.DATA and not (
                _NEVER_CODE.search(file.path) or is_test(file.path)
            )
            if file.path in self._loaded or (is_data and _has_javascript(file)):
                self.by_path[file.path] = Role.CODE

    def runs(self, path: str) -> bool:
        """Return whether the package starts this file, or its changed code loads it."""
        return path in self.entries or path in self._loaded

    def _loaded_files(self, change: Change) -> frozenset[str]:
        """Return the files that code loads although they have no name of code."""
        paths: dict[str, set[str]] = {}
        parsed: set[str] = set()
        for file in change.files:
            name = file.path.rpartition("/")[2]
            if file.status == "removed" or name.endswith((".js", ".cjs", ".mjs", "package.json")):
                continue
            if _NEVER_CODE.search(name):
                if not _has_javascript(file):
                    continue
                parsed.add(name)
            paths.setdefault(name, set()).add(file.path)
        code = [file for file in change.files if self.by_path[file.path] is Role.CODE]
        names = loaded_names(code, frozenset(paths), frozenset(parsed))
        return frozenset(path for name in names for path in paths[name])


def _has_javascript(file: FileChange) -> bool:
    """Return whether a file with the name of data has JavaScript in its added lines."""
    return _JAVASCRIPT.search("\n".join(line for _, line in file.added_lines)) is not None


_latest: tuple[weakref.ref[Change], Roles] | None = None


def roles(change: Change) -> Roles:
    """Return the roles of a change's files; those of the latest change are stored."""
    global _latest  # noqa: PLW0603 - each of the signals needs them
    if _latest is None or _latest[0]() is not change:
        _latest = weakref.ref(change), Roles(change)
    return _latest[1]


def role_of(change: Change) -> Mapping[str, Role]:
    """Return the role of each file of a change, by path."""
    return roles(change).by_path


def is_test(path: str) -> bool:
    """Return whether the path belongs to tests or examples."""
    return bool(_TEST_FOLDER.search(path) or _TEST_NAME.search(path))


def code_files(change: Change) -> Iterator[tuple[FileChange, float]]:
    """Yield each code or test file with added lines, and the share of its findings' weight.

    The file's kind does not matter: Node runs a script with a NUL byte in it.
    """
    by_path = role_of(change)
    for file in change.files:
        if not file.added_lines:
            continue
        role = by_path[file.path]
        if role in {Role.CODE, Role.TEST}:
            yield file, 1.0 if role is Role.CODE else INACTIVE_SHARE
