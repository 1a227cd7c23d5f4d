"""Tests of worker.risk.moved_files: the content of a moved file is not new."""

import pytest

from tests.support.upgrades import NOW, added_file, removed_file, upgrade
from worker.change import FileChange
from worker.risk import assess


def _risk(*files: FileChange) -> float:
    return assess(upgrade(*files), NOW).risk


def test_only_lines_added_to_a_moved_file_are_new():
    old = removed_file("lib/run-a1b2c3d4.js", "eval(x)")
    assert _risk(old, added_file("dist/run-0f0f0f0f.js", "eval(x)")) == 0
    assert _risk(old, added_file("dist/run-0f0f0f0f.js", "eval(x)", "eval(y)")) == 0.4


def test_of_several_moved_files_those_of_similar_length_match():
    large = ("eval(x)", "b()", "c()")
    old = [removed_file("lib/run-aaaaaaaa.js", "a()"), removed_file("lib/run-bbbbbbbb.js", *large)]
    new = [added_file("lib/run-cccccccc.js", *large), added_file("lib/run-dddddddd.js", "a()")]
    assert _risk(*old, *new) == 0


def test_minified_code_that_moved_is_not_newly_minified():
    line = "x;" * 2000
    assert _risk(removed_file("lib/run.js", line), added_file("src/run.js", line)) == 0


@pytest.mark.parametrize("path", ["test/run.js", "lib/other.js", "lib/run.mjs"])
def test_a_file_with_another_role_or_name_does_not_match(path: str):
    assert _risk(removed_file(path, "eval(x)"), added_file("lib/run.js", "eval(x)")) == 0.4


def test_a_removed_file_matches_one_added_file_only():
    files = [added_file(f"{folder}/run.js", "eval(x)") for folder in "abc"]
    assert _risk(removed_file("lib/run.js", "eval(x)"), *files) == 0.4


def test_the_name_of_a_moved_file_is_new():
    findings = assess(
        upgrade(removed_file("a.js", "x"), added_file("b\u202e/a.js", "x")), NOW
    ).findings
    assert [finding.signal for finding in findings] == ["files.hidden-name"]
