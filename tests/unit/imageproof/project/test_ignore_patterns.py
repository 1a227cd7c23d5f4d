"""Tests of the patterns of .dockerignore; BuildKit 0.13 left out the same files."""

from __future__ import annotations

import pytest

from imageproof.errors import ConfigurationError
from imageproof.project.ignore_patterns import IgnorePatterns

FILES = (
    *("a.py", "b.txt", "a-b", "app/a.py", "app/b.txt", "app/[x].txt", "app/x/a.py"),
    *("app/x/y/z.pyc", "lib/app/a.py", ".git/config"),
)


@pytest.mark.parametrize(
    ("lines", "ignored"),
    [
        (["*", "!app"], "a.py b.txt a-b lib/app/a.py .git/config"),
        (["*", "!app", "**/*.pyc"], "a.py b.txt a-b app/x/y/z.pyc lib/app/a.py .git/config"),
        (["*", "!**/a.py"], "b.txt a-b app/b.txt app/[x].txt app/x/y/z.pyc .git/config"),
        (["!app", "*"], " ".join(FILES)),
        (["**"], " ".join(FILES)),
        (["**/app/x"], "app/x/a.py app/x/y/z.pyc"),
        (["/app/x/", "a-*"], "a-b app/x/a.py app/x/y/z.pyc"),
        (["?.*", ".g*", "lib/**"], "a.py b.txt lib/app/a.py .git/config"),
        (["app", "!app/x/a.py"], "app/b.txt app/a.py app/[x].txt app/x/y/z.pyc"),
        (["[bl]*", "[^a]*"], "b.txt lib/app/a.py .git/config"),
        (["**/x/**/*.pyc", "# b.txt", "", " .git "], "app/x/y/z.pyc .git/config"),
        ([r"app/\[x\].txt", "lib/**/a.py"], "app/[x].txt lib/app/a.py"),
        (["app/x/../b.txt", "./a-b"], "app/b.txt a-b"),
    ],
)
def test_last_matching_pattern_decides(lines, ignored):
    patterns = IgnorePatterns(lines)
    assert sorted(filter(patterns.match, FILES)) == sorted(ignored.split())


def test_invalid_pattern_is_refused():
    with pytest.raises(ConfigurationError, match=r"'\[z-a\]' is not a valid pattern"):
        IgnorePatterns(["[z-a]"])


def test_folder_is_ignored_as_a_whole_unless_an_exception_may_be_below_it():
    assert IgnorePatterns(["node_modules"]).match_whole_folder("node_modules")
    assert not IgnorePatterns(["*", "!app"]).match_whole_folder("node_modules")
    assert not IgnorePatterns(["*.py"]).match_whole_folder("app")
