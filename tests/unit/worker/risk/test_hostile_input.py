"""Tests of worker.risk with hostile packages: time grows linearly and stays within a budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.growth import assert_linear, limited_to
from tests.support.upgrades import NOW, added_file, changed_file, removed_file, upgrade
from worker.change import Change
from worker.risk import SIGNALS, assess
from worker.risk.moved_files import with_moves

MIB = 1024 * 1024
SHORT, LONG = 128 * 1024, MIB  # characters of a hostile line
MAX_SECONDS = 40.0
"""CPU time of an assessment of eight hostile lines. Most take 5 s, a quadratic one minutes."""
LINES_PER_CHANGE = 8  # as many lines of 1 MiB as a review reads

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
    "quoted addresses": "'1.1.1.1'",
    "addresses with ports": "1.1.1.1:",
    "addresses with users": "@1.1.1.1",
    "numbers with dots": "1.",
    "hosts": "://a.b.test/",
    "emoji": "\U0001f600",
    "double quotes": '"',
    "backticks": "`",
    "open comments": "/*",
    "comments": "//",
    "backslashes": "\\",
    "parentheses": "(((((",
    "commas": ",,,,",
    "code points": "\\u{1F600}",
    "obfuscated names": "_0xabcdef ",
    "zero-width letters": "\u200b",
    "reordering letters": "\u202e",
    "quoted base64": "'" + "A" * 20 + "'",
    "data URLs": "data:a;base64," + "A" * 200 + " ",
}


def _line(part: str, length: int, prefix: str = "") -> str:
    """Return a line of a kind. An emoji as its prefix makes a character take four bytes."""
    return prefix + (part * (length // len(part) + 1))[:length]


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_time_grows_linearly_with_a_hostile_line(part: str):
    def make(length: int) -> Change:
        line = _line(part, length, "/* \U0001f600")
        return upgrade(changed_file("a.js", line, removed_lines=(line[1:] + "x",)))

    assert_linear(make, lambda change: assess(change, NOW), min_size=SHORT // 4, max_size=SHORT)


@pytest.mark.parametrize("first", range(0, len(PARTS), LINES_PER_CHANGE))
def test_eight_hostile_lines_of_1_mib_are_assessed_in_seconds(first: int):
    parts = list(PARTS.values())[first : first + LINES_PER_CHANGE]
    lines = [_line(part, LONG, "/* \U0001f600") for part in parts]
    change = upgrade(changed_file("a.js", *lines))
    with limited_to(MAX_SECONDS):
        assess(change, NOW)


def _many_short_parts(size: int) -> Change:
    """Return a package of `size` characters: many files, lines, dependencies and entry points."""
    count = size // 200
    lines = [_line(part, size // len(PARTS) // 4) for part in PARTS.values()]
    paths = [f"test/a{n}/b.c-{n:08d}.png.js" for n in range(count)]
    moved = [f"lib/{n}/chunk-{n % 7:08d}.js" for n in range(count)]
    return upgrade(
        changed_file("lib/a.js", *lines, *["eval(fetch(process.env))"] * count),
        *(added_file(path, "eval(a)") for path in paths),
        *(added_file(f"new/{path}", "require('./test/b')") for path in moved),
        *(removed_file(path, "let a") for path in moved),
        old_manifest={"exports": [f"./{path}" for path in paths]},
        new_manifest={
            "dependencies": {f"name-{n}": "git+ssh://" + "a" * 20 for n in range(count)},
            "scripts": {"install": "node " * count, "postinstall": "a/" * count},
            "bin": {f"command-{n}": "a.js" for n in range(count)},
            "bundleDependencies": [f"name-{n}" for n in range(count)],
            "exports": [f"./{path}" for path in moved],
            "main": "./" * count,
        },
    )


@pytest.mark.parametrize("id_", SIGNALS)
def test_the_time_of_each_signal_grows_linearly_with_a_hostile_package(id_: str):
    assert_linear(
        _many_short_parts, lambda change: SIGNALS[id_].findings(change, NOW), max_size=SHORT
    )


def test_the_search_for_moved_files_grows_linearly():
    assert_linear(_many_short_parts, with_moves)


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
