"""Tests of worker/diff/src with hostile texts: time grows linearly, and memory suffices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.diff_bundle import run_node
from tests.support.growth import FACTOR, MAX_RATIO
from tests.support.npm_registry import make_reply, serving
from worker.failure import ReviewError
from worker.npm_diff import diff_versions

LINES = 8
MAX_CHARS = 1024 * 1024  # of a line
MIN_SECONDS = 0.03
PARTS = {
    "letters": "a",
    "spaces": " ",
    "quotes": "'",
    "carriage returns": "\r",
    "carriage returns and letters": "\ra\r\r",
    "control characters": "\x01",
    "deleted": "\x7f",
    "escape sequences": "\x1b[31m",
    "backslashes": "\\\\",
    "emoji": "\U0001f600",
    "two bytes": "\xe9",
    "no newline": "\\ No newline at end of file",
    "hunks": "@@ -1,1 +1,1 @@",
    "signs": "+-",
    "digits and dots": "1.1.1.1",
}
# For each kind and size: seconds that the comparison, the budgets and the printer take.
COMPARE = """
import { readFileSync } from "node:fs";
import { LineBudget, TextBudget } from "./src/budgets.mjs";
import { comparePatch, createTwoFilesPatch, newWorkBudget } from "./src/patch.mjs";
import { escaped } from "./src/print.mjs";
import { kindOf } from "./src/file-kind.mjs";
const { parts, lines, maxChars, minSeconds, factor } = JSON.parse(readFileSync(0, "utf8"));
const print = (patch) => escaped(createTwoFilesPatch("a", "b", patch, patch));
const limits = { linesBytes: 2 ** 24, lineBytes: 2 ** 20, diffBytes: 2 ** 24 };
function seconds(part, chars) {
  const line = part.repeat(Math.ceil(chars / part.length));
  const [oldText, newText] = ["x", "y"].map((mark) => `${line}${mark}\\n`.repeat(lines));
  kindOf(Buffer.from(newText));
  const start = process.cpuUsage();
  for (const before of [oldText, ""]) {
    const patch = comparePatch(before, newText, newWorkBudget());
    new LineBudget(limits).take(patch);
    new TextBudget(limits).take(patch, print);
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}
const outcomes = {};
for (const [name, part] of Object.entries(parts)) {
  let chars = 1024;
  while (seconds(part, chars) < minSeconds && chars * factor < maxChars) chars *= 2;
  const least = (size) => Math.min(seconds(part, size), seconds(part, size), seconds(part, size));
  outcomes[name] = [chars, least(chars), least(chars * factor)];
}
process.stdout.write(JSON.stringify(outcomes));
"""


@pytest.fixture(scope="module")
def outcomes(diff_sources: Path) -> dict[str, list[float]]:
    request = {
        "parts": PARTS,
        "lines": LINES,
        "maxChars": MAX_CHARS // 4,
        "minSeconds": MIN_SECONDS,
        "factor": FACTOR,
    }
    return run_node(diff_sources, COMPARE, request)


@pytest.mark.parametrize("name", PARTS)
def test_the_time_grows_linearly_with_the_length_of_a_line(name, outcomes):
    chars, seconds, seconds_of_larger = outcomes[name]
    assert seconds_of_larger <= MAX_RATIO * max(seconds, MIN_SECONDS / 2), (chars, outcomes[name])


def test_many_control_characters_do_not_exhaust_the_memory():
    content = (b"\x01\x7f\x1b" * 1000 + b"\n") * 2000
    with serving() as registry:
        registry.publish("1.0.0", {})
        registry.publish("1.1.0", {"a.js": content})
        change = diff_versions("sample", "1.0.0", "1.1.0", registry=registry.address, token=None)
    assert [(file.path, len(file.added_lines) > 100) for file in change.files] == [("a.js", True)]
    assert change.truncated


def test_a_document_that_exhausts_the_heap_is_not_fetched_again():
    """30 MB of JSON, which take five times as much as objects."""
    document = b'{"versions": {"1.0.0": {}}, "x": [' + b"[]," * 10_000_000 + b"1]}"
    with serving() as registry:
        registry.replies["/sample"] = make_reply(200, document)
        with pytest.raises(ReviewError) as caught:
            diff_versions("sample", "1.0.0", "1.1.0", registry=registry.address, token=None)
    assert (caught.value.code, caught.value.max_attempts) == ("out_of_memory", 1)
