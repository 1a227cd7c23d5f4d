"""The files of a package by what they are for, and what is new in them."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, islice
from typing import Any

from worker.change import Change, FileChange

INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
"""npm runs these wherever the package is installed, as a dependency too."""
ASIDE = 0.25
"""What is left of a weight where code does not run by itself: in tests, examples, remarks."""

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
_COMMAND_CHARS = 4096  # of a command; of entry points that long there are none
_MAX_ENTRIES = 1000
_WORDS = re.compile(r"[\s\"'`()=;&|<>]+")


class Role(Enum):
    """What a file is for. Whatever is nothing else is code: Node runs files of any name."""

    CODE = "code"
    TEST = "test"  # and example
    DATA = "data"
    DOCUMENT = "document"


@dataclass(frozen=True)
class New:
    """A match in an added line. `line` is that whole line, `at` where the match begins in it."""

    number: int
    line: str
    at: int
    match: re.Match[str]


def role(path: str, started: frozenset[str] = frozenset()) -> Role:
    """Return what a file is for, by its path; one that is `started` is code, whatever its name."""
    named = not started.isdisjoint({path, stem(path)})
    if _DATA.search(path):
        return Role.DATA
    if _DOCUMENT.search(path):
        return Role.CODE if named else Role.DOCUMENT
    if is_test(path) and not named and path.rpartition("/")[0] not in started:
        return Role.TEST
    return Role.CODE


def stem(path: str) -> str:
    """Return the path as Node lets a program write it: without the ending of JavaScript."""
    return re.sub(r"\.[cm]?js$", "", path)


def paths_in(text: str) -> frozenset[str]:
    """Return the words of a command, or of an entry point, that may be paths in the package."""
    parts = _WORDS.split(text[:_COMMAND_CHARS])
    return frozenset(word.removeprefix("./").rstrip("/") for word in parts if word.strip("./"))


def started(change: Change) -> frozenset[str]:
    """Return the paths that the new manifest starts, as it writes them."""
    manifest = change.new.manifest
    named = list(install_scripts(manifest).values())
    for key in ("main", "module", "browser", "bin"):
        named += texts(manifest.get(key))
    for path in islice(texts(manifest.get("exports")), _MAX_ENTRIES):
        if len(path) <= _COMMAND_CHARS and not _DOCUMENT.search(path):  # README.md, types
            named.append(path)
    return frozenset().union(*map(paths_in, named[:_MAX_ENTRIES]))


def is_test(path: str) -> bool:
    """Tell whether the path is one of tests or examples."""
    return bool(_TEST_FOLDER.search(path) or _TEST_NAME.search(path))


def sources(change: Change) -> Iterator[tuple[FileChange, float]]:
    """Yield each file of code or tests with new lines, and the share that its findings have.

    Whatever its first bytes say: Node runs a script with a NUL in it.
    """
    entries = started(change)
    for file in change.files:
        if not file.lines:
            continue
        what = role(file.path, entries)
        if what in {Role.CODE, Role.TEST}:
            yield file, 1.0 if what is Role.CODE else ASIDE


def news(file: FileChange, pattern: re.Pattern[str], *, every: bool = False) -> Iterator[New]:
    """Yield the matches in added lines that no removed line of the file makes up for.

    Code that moved or was indented anew is not new: each match in a removed line makes up for
    one with the same text, but for spaces, the kind of quotes, and `node:` before a module. At
    most one match a line, unless `every` is wanted.
    """
    text = "\n".join(line for _, line in file.lines)
    gone: Counter[str] | None = None
    starts: list[int] = []
    last = -1
    for match in pattern.finditer(text):
        if gone is None:  # only now, since most files have no match
            gone = Counter(_same(m) for m in pattern.finditer("\n".join(file.gone)))
            starts = list(accumulate((len(line) + 1 for _, line in file.lines), initial=0))
        if gone[_same(match)] > 0:
            gone[_same(match)] -= 1
            continue
        index = bisect_right(starts, match.start()) - 1
        if every or index != last:
            last = index
            number, line = file.lines[index]
            yield New(number, line, match.start() - starts[index], match)


def is_remark(line: str) -> bool:
    """Tell whether all of a line of code is a comment."""
    start = line[:200].lstrip()
    return start.startswith("//") or (start.startswith(("*", "/*")) and "*/" not in line)


def texts(value: object, depth: int = 5) -> Iterator[str]:
    """Yield every text in a part of the manifest, such as `exports`, which nests."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, depth - 1)


def table(manifest: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return an object of texts, such as `scripts`; what has another shape is left out."""
    found = manifest.get(key)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): value for name, value in found.items() if isinstance(value, str)}


def install_scripts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the scripts that an installation runs."""
    scripts = table(manifest, "scripts")
    return {name: scripts[name] for name in INSTALL_SCRIPTS if scripts.get(name)}


def _same(match: re.Match[str]) -> str:
    return "".join(match.group().split()).replace("node:", "").replace("'", '"')
