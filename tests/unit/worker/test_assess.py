"""Tests of worker.assess: the assessment in a process of its own, and its limits."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.support.upgrades import NOW, changed_file, removed_file, upgrade
from worker.assess import BOUNDS, Assessed, Assessor
from worker.change import Change
from worker.child import Bounds, Children
from worker.failure import ReviewError
from worker.llm.prompt import describe
from worker.risk import assess

MIB = 1024 * 1024
CHANGE = replace(
    upgrade(changed_file("a.js", "eval(x); // \U0001f600"), removed_file("b.js", "let b")),
    diff="diff --git \U0001f600\n",
    truncated=True,
    stats={"lines_added": 30, "lines_removed": 40},  # more than in `files`, which limits cut
)


def _answer(change: Change, **fields: Any) -> bytes:
    """Return the diff program's answer that describes the change."""
    versions = {"from": _version(change.old), "to": _version(change.new)}
    answer = {
        **versions,
        "files": [asdict(file) for file in change.files],
        "diff": change.diff,
        "truncated": change.truncated,
        "stats": change.stats,
        "node_version": "v20",
    }
    return json.dumps(answer | fields).encode()


def _version(version) -> dict[str, Any]:
    return asdict(version) | {"published": version.published.isoformat()}


def _assess(answer: bytes, bounds: Bounds = BOUNDS, *, for_llm: bool = False) -> Assessed:
    with Assessor(for_llm=for_llm, bounds=bounds).start(Children()) as run:
        return run(CHANGE.package, answer)


def _failure(answer: bytes, bounds: Bounds = BOUNDS) -> ReviewError:
    with pytest.raises(ReviewError) as caught:
        _assess(answer, bounds)
    return caught.value


def test_the_result_is_that_of_the_signals():
    expected = assess(CHANGE, NOW)
    assessed = _assess(_answer(CHANGE), for_llm=True)
    assert assessed.risk == expected.risk > 0
    assert [finding.model_dump() for finding in assessed.findings] == [
        asdict(finding) for finding in expected.findings
    ]
    assert assessed.llm_data == describe(CHANGE, expected)
    assert (assessed.diff, assessed.diff_truncated) == (CHANGE.diff, True)
    assert (assessed.from_version, assessed.to_version) == ("1.2.0", "1.2.1")
    statistics = assessed.statistics
    assert (statistics.files_removed, statistics.files_modified) == (1, 1)
    assert (statistics.lines_added, statistics.lines_removed) == (30, 40)
    assert _assess(_answer(CHANGE)).llm_data == ""


def test_half_a_character_is_replaced():
    """A lone surrogate cannot be written as UTF-8."""
    assert _assess(_answer(CHANGE, diff="a\ud800b")).diff == "a?b"


def test_out_of_memory_is_a_failure_of_its_own():
    lines = [f"\U0001f600{'x' * MIB}"] * 8
    bounds = replace(BOUNDS, data_bytes=64 * MIB)
    error = _failure(_answer(upgrade(changed_file("a.js", *lines))), bounds)
    assert (error.code, error.max_attempts) == ("out_of_memory", 1)
    assert str(error) == "assessment: it needed more memory than it may have (64 MiB)"


def test_out_of_time_is_a_failure_of_its_own():
    error = _failure(_answer(CHANGE), replace(BOUNDS, seconds=0.01))
    assert (error.code, error.max_attempts) == ("out_of_time", 2)
    assert str(error) == "assessment: it took more than 0.01 s and was killed"


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"from": 1}', b"\xff", b"[" * 100_000], ids=repr
)
def test_an_invalid_answer_is_a_crash_without_the_packages_text(answer: bytes):
    error = _failure(answer[:100_000])
    assert (error.code, error.max_attempts) == ("crashed", 2)
    assert "Error" in error.detail


def test_the_largest_answer_is_assessed_within_the_limits():
    """Eight lines of 1 MiB, in characters of four bytes, and a diff of 2 MiB."""
    lines = ["\U0001f600" + "x" * (MIB - 4)] * 8
    change = replace(CHANGE, files=(changed_file("a.js", *lines),), diff="\U0001f600" * (MIB // 2))
    assert len(_assess(_answer(change)).diff) == MIB // 2
