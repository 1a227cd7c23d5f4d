"""What is too large is refused, cut or left out; it stalls nothing and crowds nothing out."""

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


def test_a_line_beyond_its_bound_is_cut(registry):
    """Between two characters, and the file says so."""
    (file,) = _change(registry, {}, {"a.js": ("é" * 60 + "\nb\n").encode()}, line_bytes=99).files
    assert file.lines == ((1, "é" * 49), (2, "b"))
    assert (file.whole, file.longest) == (False, 60)
    assert file.note == "its lines are cut, or not all are here"


def test_a_large_file_does_not_crowd_the_small_ones_out(registry):
    """Neither out of the lines nor out of the diff."""
    large, small = b"large()\n" * 1000, b"small()\n"
    files = {"0.js": large, "1.js": small, "2.js": large, "3.js": small}
    change = _change(registry, {}, files, lines_bytes=2000, diff_bytes=2000)
    assert [file.lines for file in change.files if file.path in "1.js 3.js"] == [
        ((1, "small()"),)
    ] * 2
    assert [(file.path, file.whole) for file in change.files] == [
        ("0.js", False), ("1.js", True), ("2.js", False), ("3.js", True),
    ]  # fmt: skip
    assert change.diff.count("+small()") == 2
    assert change.diff.count("(left out: the diff has more than 2000 bytes)") == 2
    assert change.truncated
    assert len(change.diff) <= 2000
    assert change.stats["lines_added"] == 2002


def test_not_even_notes_go_beyond_the_bound_of_a_diff(registry):
    change = _change(registry, {}, {f"{i}.js": b"1\n" for i in range(50)}, diff_bytes=500)
    assert len(change.diff) <= 500
    assert change.truncated


def test_a_file_of_too_many_lines_is_not_compared(registry):
    """Millions of line breaks must not become millions of strings."""
    change = _change(registry, {"a.js": b""}, {"a.js": b"\n" * 300_000, "b.js": b"b\n" * 60_000})
    a, b = change.files
    assert (a.lines, a.note, a.whole) == ((), "more than 250000 lines", False)
    # Its lines are all here; the patch is not, since npm's own printer overflows at twice that.
    assert (b.added, b.note, b.whole) == (60_000, "more than 50000 lines", True)
    assert "(more than 250000 lines)\n" in change.diff
    assert change.diff.endswith("(more than 50000 lines)")


def test_a_file_of_too_many_bytes_is_not_compared(registry):
    """What holds many such in a container's memory is for tests/e2e/test_reviews_faults.py."""
    (file,) = _change(registry, {}, {"a.js": b"x" * (2**24 + 1)}).files
    assert (file.lines, file.note) == ((), "too large to be compared by lines")
    assert (file.whole, file.longest) == (False, 2**24 + 1)


HOPELESS = """
import { comparePatch, newEffort } from "./src/patch.mjs";
const text = (word, count) => Array.from({ length: count }, (_, i) => `${word} ${i}\\n`).join("");
const effort = { steps: 10_000 };
const [old, fresh] = [text("old", 200) + "same\\n", "same\\n" + text("new", 200) + "same\\n"];
const first = comparePatch(old, fresh, effort);
const second = comparePatch("a\\n", "b\\n", effort);
const { added, gone, note } = first;
const usual = comparePatch("a\\nx\\n", "b\\nx\\n", newEffort());
console.log(JSON.stringify({ added, gone, note, steps: effort.steps, second, usual }));
"""


def test_texts_with_too_many_changes_are_compared_without_order(diff_sources: Path):
    """The work of all files together is bounded; each line that one side has more often is told."""
    ended = subprocess.run(
        ["node", "--input-type=module", "-e", HOPELESS],
        cwd=diff_sources,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    added = [[1, "same"], *([i + 2, f"new {i}"] for i in range(200))]
    # which of two equal lines is the new one, nobody can say
    assert told["added"] == [*added[1:], [202, "same"]]
    assert told["gone"] == [f"old {i}" for i in range(200)]
    assert told["note"].startswith("too many changes")
    assert told["steps"] == 0
    assert (told["second"]["added"], told["second"]["hunks"]) == ([[1, "b"]], None)
    assert told["usual"]["hunks"]
