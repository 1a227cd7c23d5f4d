"""Tests of worker.risk with lines that are slow to match: time grows linearly with length."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.upgrades import NOW, added_file, changed_file, upgrade
from worker.change import Change
from worker.risk import SIGNALS, assess

LENGTH = 20_000
# A quadratic expression would take about a thousand times as long as a benign line.
MAX_RATIO = 60

PARTS = {
    "spaces": " ",
    "tabs and spaces": "\t ",
    "spaces and a letter": " " * 149 + "x",
    "quotes": "'",
    "open quotes": "'a/b ",
    "concatenations": "'+ ",
    "concatenations with all quotes": "\"  +  '",
    "brackets": "[](!+",
    "digits": "1",
    "dots": "1.1.1.1",
    "long run": "A",
    "hex": "0x",
    "escapes": "\\x41",
    "unicode escapes": "\\u0041",
    "almost a run": "A" * 199 + ".",
    "almost base64": "'" + "A" * 15,
    "eval": "eval(",
    "eval and spaces": "eval" + " " * 8,
    "Function": "new Function(",
    "require": "require( '",
    "from": "from '",
    "environment": "process.env.",
    "environment, long name": "process.env." + "A" * 60,
    "environment in brackets": "process.env['",
    "fromCharCode": "fromCharCode(1,2,3,",
    "rm": "rm -rf",
    "rm and spaces": "rm    -r    ",
    "curl": "curl        ",
    "npm": "npm    ",
    "host": "://",
    "host with user": "://" + "a" * 60 + ":" + "b" * 60,
    "base64 call": ",'base64'",
    "invisible": "\ufe01",
    "tags": "\U000e0041",
    "dotted": ".npmrc.ssh/",
    "loads": "require('./test/",
    "loads other files": "import './a.txt',",
    "assignments": "window.fetch = ",
    "wallets": "0x" + "a" * 40,
    "base58": "'1" + "A" * 34,
}


def _line(part: str) -> str:
    return (part * (LENGTH // len(part) + 1))[:LENGTH]


def _seconds(change: Change) -> float:
    """Return the CPU time of an assessment."""
    start = time.process_time()
    assess(change, NOW)
    return time.process_time() - start


def _takes_less(change: Change, limit: float) -> bool:
    """Return whether one of two assessments is faster than the limit."""
    return any(_seconds(change) < limit for _ in range(2))


@pytest.fixture(scope="module")
def benign() -> float:
    words = "const value = list.map((item) => item.name).filter(Boolean); "
    change = upgrade(changed_file("a.js", _line(words), removed_lines=(_line(words[::-1]),)))
    return min(_seconds(change) for _ in range(2))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_hostile_line_takes_about_as_long_as_a_benign_line(part: str, benign: float):
    line = _line(part)
    change = upgrade(changed_file("a.js", line, removed_lines=(line[1:] + "x",)))
    assert _takes_less(change, MAX_RATIO * benign)


def test_hostile_names_and_manifests_take_about_as_long_as_a_benign_line(benign: float):
    long = _line("a/ test/.")
    change = upgrade(
        added_file(long, "x"),
        new_manifest={
            "dependencies": {long: long, "b": _line("a"), "c": _line("1.")},
            "scripts": {"install": _line("node "), "prepare": long},
            "bin": {long: long},
            "exports": [long] * 10,
            "main": _line("./"),
        },
    )
    assert _takes_less(change, MAX_RATIO * benign)


def test_many_short_matches_take_about_as_long_as_a_benign_line(benign: float):
    line = "eval(fetch(process.env))"
    change = upgrade(changed_file("a.js", *[line] * (LENGTH // len(line))))
    assert _takes_less(change, MAX_RATIO * benign)


TOKENS = st.sampled_from(
    ["eval(", "'", '"', "`", " ", "\\x41", "://", "process.env", "1.2.3.4", "[", "(", "A" * 50]
)
ANY_LINE = st.one_of(st.text(max_size=80), st.lists(TOKENS, max_size=20).map("".join))


@settings(max_examples=60)
@given(
    st.lists(ANY_LINE, max_size=5),
    st.lists(ANY_LINE, max_size=5),
    st.sampled_from(["a.js", "test/a.js", "a.json", "README.md", "a.png", ".x", "a/b.c.d", " "]),
)
def test_any_text_gives_findings_within_the_weight(lines: list[str], removed: list[str], path: str):
    file = changed_file(path, *lines, removed_lines=tuple(removed))
    change = upgrade(file, added_file("x" + path, *lines))
    for signal in SIGNALS.values():
        for finding in signal.detect(change, NOW):
            assert 0 <= finding.weight <= signal.weight
