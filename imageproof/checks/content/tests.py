"""content.tests: no tests are in the image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.folders import unwanted_folder
from imageproof.checks.content.modules import LIBRARY, program_folder
from imageproof.checks.files import Entry

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Layer

_TEST_FILE = re.compile(
    r"^(?:conftest\.py|test_[^/]*\.py|[^/]+_test\.py|[^/]+\.(?:test|spec)\.[cm]?[jt]sx?)$"
)
_TESTS_FOLDER = re.compile(r"^(?P<folder>(?:.*?/)?(?:tests|__tests__))/")
_TEST_FOLDER = re.compile(r"^(?P<folder>(?:.*?/)?test)/(?P<name>.+)$")
MIN_LIBRARY_BYTES = 100_000  # a package's smaller tests are not worth a line in a Dockerfile


@check(
    "content.tests",
    "image",
    title="No tests are in the image",
    why="Tests never run in the image, and bring sample keys and exploits.",
    remedy="COPY the code without its tests (.dockerignore), and remove the tests of packages.",
    reference="https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def tests(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for tests of the program itself; warn of a package's tests from 100 kB on."""
    own: dict[str, dict[str, Entry]] = defaultdict(dict)
    packaged: dict[str, dict[str, Entry]] = defaultdict(dict)
    program = program_folder(contract, facts)
    suites = _test_folders(facts)
    for path, entry in facts.files.items():
        if entry[0].kind == "folder":
            continue
        if library := LIBRARY.match(path):
            if folder := _suite(path, library["rest"], suites):
                packaged[folder][path] = entry
        elif program and path.startswith(program):
            folder = _suite(path, path.removeprefix(program), suites)
            if folder or _is_test(path):
                own[folder or path][path] = entry
    for folder, files in sorted(own.items()):
        yield unwanted_folder(folder, _layer(files), "tests", _size(files))
    for folder, files in sorted(packaged.items()):
        if _size(files) >= MIN_LIBRARY_BYTES:
            yield unwanted_folder(folder, _layer(files), "tests", _size(files), warning=True)


def _size(files: dict[str, Entry]) -> int:
    return sum(file.size for file, _ in files.values())


def _layer(files: dict[str, Entry]) -> Layer:
    return files[min(files)][1]


def _is_test(path: str) -> bool:
    return bool(_TEST_FILE.match(path.rpartition("/")[2]))


def _test_folders(facts: ImageFacts) -> set[str]:
    """Return folders named `test` that hold tests; django.test, for example, holds none."""
    matches = (_TEST_FOLDER.match(path) for path in facts.files if _is_test(path))
    return {match["folder"] for match in matches if match}


def _suite(path: str, rest: str, test_folders: set[str]) -> str | None:
    """Return the folder of tests with this path; `rest` is the path inside its package folder."""
    before = path[: -len(rest)]
    if match := _TESTS_FOLDER.match(rest):
        return before + str(match["folder"])
    match = _TEST_FOLDER.match(rest)
    folder = before + str(match["folder"]) if match else None
    return folder if folder in test_folders else None
