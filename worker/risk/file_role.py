"""Role of a file in its package: code, test, data or document."""

import re
from collections.abc import Iterator
from enum import Enum
from itertools import islice

from worker.change import Change, FileChange
from worker.risk.manifest_fields import (
    MAX_COMMAND_CHARS,
    install_scripts,
    nested_strings,
    paths_in,
)

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
_MAX_ENTRY_POINTS = 1000


class Role(Enum):
    """Role of a file. A file without another role is code: Node runs files of any name."""

    CODE = "code"
    TEST = "test"  # or example
    DATA = "data"
    DOCUMENT = "document"


def file_role(path: str, entries: frozenset[str] = frozenset()) -> Role:
    """Return the role of a file, by its path; an entry point is code under any name."""
    is_entry = not entries.isdisjoint({path, without_js_suffix(path)})
    if _DATA.search(path):
        return Role.DATA
    if _DOCUMENT.search(path):
        return Role.CODE if is_entry else Role.DOCUMENT
    if is_test(path) and not is_entry and path.rpartition("/")[0] not in entries:
        return Role.TEST
    return Role.CODE


def without_js_suffix(path: str) -> str:
    """Return the path without .js, .cjs or .mjs, which Node lets programs leave out."""
    return re.sub(r"\.[cm]?js$", "", path)


def entry_points(change: Change) -> frozenset[str]:
    """Return the paths that the new manifest starts, as it writes them."""
    manifest = change.new.manifest
    commands_and_paths = list(install_scripts(manifest).values())
    for key in ("main", "module", "browser", "bin"):
        commands_and_paths += nested_strings(manifest.get(key))
    for path in islice(nested_strings(manifest.get("exports")), _MAX_ENTRY_POINTS):
        if len(path) <= MAX_COMMAND_CHARS and not _DOCUMENT.search(path):  # README.md, types
            commands_and_paths.append(path)
    return frozenset().union(*map(paths_in, commands_and_paths[:_MAX_ENTRY_POINTS]))


def is_test(path: str) -> bool:
    """Return whether the path belongs to tests or examples."""
    return bool(_TEST_FOLDER.search(path) or _TEST_NAME.search(path))


def code_files(change: Change) -> Iterator[tuple[FileChange, float]]:
    """Yield each code or test file with added lines, and the share of its findings' weight.

    The file's kind does not matter: Node runs a script with a NUL byte in it.
    """
    entries = entry_points(change)
    for file in change.files:
        if not file.added_lines:
            continue
        role = file_role(file.path, entries)
        if role in {Role.CODE, Role.TEST}:
            yield file, 1.0 if role is Role.CODE else INACTIVE_SHARE
