"""content.tests: no tests are in the image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.folders import folder_finding
from imageproof.checks.content.modules import LIBRARY, program_folder
from imageproof.image.facts import FileInLayer

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

_TEST_FILE = re.compile(
    r"^(?:conftest\.py|test_[^/]*\.py|[^/]+_test\.py|[^/]+\.(?:test|spec)\.[cm]?[jt]sx?)$"
)
# These folders hold only tests; a folder named `test` may hold other code, as django.test does.
_TESTS = re.compile(r"(?:.*?/)??(?:tests|__tests__)(?=/)")
_TEST = re.compile(r"(?:.*?/)??test(?=/)")
MIN_PACKAGE_BYTES = 100_000  # a package's smaller tests are not worth a line in a Dockerfile


@check(
    "content.tests",
    "image",
    title="No tests are in the image",
    why="Tests never run in the image, and bring sample keys and exploits.",
    remedy="COPY the code without its tests (.dockerignore), and remove the tests of packages.",
    reference="https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def tests(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for the program's own tests; warn of a package's tests of 100 kB and more."""
    own: dict[str, dict[str, FileInLayer]] = defaultdict(dict)  # by folder, then by path
    packaged: dict[str, dict[str, FileInLayer]] = defaultdict(dict)
    program = program_folder(contract, facts)
    test_folders = _test_folders(facts)
    for path, entry in facts.files.items():
        if entry.file.kind == "folder":
            continue
        if library := LIBRARY.match(path):
            if folder := _folder_of_tests(path, library.start("rest"), test_folders):
                packaged[folder][path] = entry
        elif program and path.startswith(program):
            folder = _folder_of_tests(path, len(program), test_folders)
            if folder or _is_test(path):
                own[folder or path][path] = entry
    for folder, files in sorted(own.items()):
        yield _finding(folder, files)
    for folder, files in sorted(packaged.items()):
        if _size(files) >= MIN_PACKAGE_BYTES:
            yield _finding(folder, files, warning=True)


def _finding(folder: str, files: dict[str, FileInLayer], *, warning: bool = False) -> Finding:
    _, layer = files[min(files)]
    return folder_finding(folder, layer, "tests", _size(files), warning=warning)


def _size(files: dict[str, FileInLayer]) -> int:
    return sum(file.size for file, _ in files.values())


def _is_test(path: str) -> bool:
    return bool(_TEST_FILE.match(path.rpartition("/")[2]))


def _test_folders(facts: ImageFacts) -> set[str]:
    """Return the folders named `test` that hold a test file."""
    return {
        path[: match.end()]
        for path in filter(_is_test, facts.files)
        for match in re.finditer(r"(?:^|/)test(?=/)", path)
    }


def _folder_of_tests(path: str, start: int, test_folders: set[str]) -> str | None:
    """Return the outermost folder of tests that contains a file, if any.

    Args:
        path: The file.
        start: Index in `path` behind the folder of the packages or of the program. Folders before
            it do not count: a program in /srv/tests is no test.
        test_folders: The folders named `test` that hold a test file.
    """
    if match := _TESTS.match(path, start):
        return path[: match.end()]
    match = _TEST.match(path, start)
    folder = path[: match.end()] if match else None
    return folder if folder in test_folders else None
