"""Tests of the limits in worker/diff/src: budgets.mjs, compare.mjs and patch.mjs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.npm_registry import Files, Registry, serving
from worker.change import Change
from worker.npm_diff import Limits, diff_versions


@pytest.fixture
def registry():
    with serving() as started:
        yield started


def _change(registry: Registry, old: Files, new: Files, **limits: int) -> Change:
    registry.publish("1.0.0", old)
    registry.publish("1.1.0", new)
    return diff_versions(
        "sample", "1.0.0", "1.1.0", registry=registry.address, token=None, limits=Limits(**limits)
    )


def test_a_long_line_is_cut_between_two_characters(registry):
    (file,) = _change(registry, {}, {"a.js": ("é" * 60 + "\nb\n").encode()}, line_bytes=99).files
    assert file.added_lines == ((1, "é" * 49), (2, "b"))
    assert (file.complete, file.longest_line) == (False, 60)
    assert file.note == "its lines are cut, or some are left out"


def test_a_large_file_does_not_crowd_out_small_ones(registry):
    large, small = b"large()\n" * 1000, b"small()\n"
    files = {"0.js": large, "1.js": small, "2.js": large, "3.js": small}
    change = _change(registry, {}, files, lines_bytes=2000, diff_bytes=2000)
    assert [file.added_lines for file in change.files if file.path in "1.js 3.js"] == [
        ((1, "small()"),)
    ] * 2
    assert [(file.path, file.complete) for file in change.files] == [
        ("0.js", False), ("1.js", True), ("2.js", False), ("3.js", True),
    ]  # fmt: skip
    assert change.diff.count("+small()") == 2
    assert change.diff.count("(left out: the diff has more than 2000 bytes)") == 2
    assert change.truncated
    assert len(change.diff) <= 2000
    assert change.stats["lines_added"] == 2002


def test_notes_count_towards_the_limit_of_the_diff(registry):
    change = _change(registry, {}, {f"{i}.js": b"1\n" for i in range(50)}, diff_bytes=500)
    assert len(change.diff) <= 500
    assert change.truncated


def test_a_file_with_too_many_lines_is_not_compared(registry):
    """Otherwise millions of line breaks would become millions of strings."""
    change = _change(registry, {"a.js": b""}, {"a.js": b"\n" * 300_000, "b.js": b"b\n" * 60_000})
    a, b = change.files
    assert (a.added_lines, a.note, a.complete) == ((), "more than 250000 lines", False)
    # Its lines are complete, but there is no patch: npm's printer overflows at twice this size.
    assert (len(b.added_lines), b.note, b.complete) == (60_000, "more than 50000 lines", True)
    assert "(more than 250000 lines)\n" in change.diff
    assert change.diff.endswith("(more than 50000 lines)")


def test_a_file_with_too_many_bytes_is_not_compared(registry):
    """tests/e2e/test_reviews_faults.py tests many such files in a container's memory."""
    (file,) = _change(registry, {}, {"a.js": b"x" * (2**24 + 1)}).files
    assert (file.added_lines, file.note) == ((), "too large to be compared by lines")
    assert (file.complete, file.longest_line) == (False, 2**24 + 1)


MANY_CHANGES = """
import { comparePatch, newWorkBudget } from "./src/patch.mjs";
const text = (word, count) => Array.from({ length: count }, (_, i) => `${word} ${i}\\n`).join("");
const budget = { steps: 10_000 };
const oldText = text("old", 200) + "same\\n";
const newText = "same\\n" + text("new", 200) + "same\\n";
const { added, removed, note } = comparePatch(oldText, newText, budget);
const second = comparePatch("a\\n", "b\\n", budget);
const small = comparePatch("a\\nx\\n", "b\\nx\\n", newWorkBudget());
console.log(JSON.stringify({ added, removed, note, steps: budget.steps, second, small }));
"""


def test_texts_with_too_many_changes_are_compared_without_order(diff_sources: Path):
    result = subprocess.run(
        ["node", "--input-type=module", "-e", MANY_CHANGES],
        cwd=diff_sources,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    output = json.loads(result.stdout)
    added = [[1, "same"], *([i + 2, f"new {i}"] for i in range(200))]
    # of two equal lines, the last one counts as added
    assert output["added"] == [*added[1:], [202, "same"]]
    assert output["removed"] == [f"old {i}" for i in range(200)]
    assert output["note"].startswith("too many changes")
    assert output["steps"] == 0
    assert (output["second"]["added"], output["second"]["hunks"]) == ([[1, "b"]], None)
    assert output["small"]["hunks"]
