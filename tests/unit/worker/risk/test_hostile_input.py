"""worker.risk on lines that were written to be slow to read: time grows with their length alone."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.upgrades import NOW, added, changed, upgrade
from worker.change import Change
from worker.risk import SIGNALS, assess

LENGTH = 20_000
# A quadratic expression would take some thousand times as long as a benign line does.
GENEROUS = 60

PARTS = {
    "spaces": " ",
    "tabs and spaces": "\t ",
    "spaces, then not": " " * 149 + "x",
    "quotes": "'",
    "open quotes": "'a/b ",
    "joints": "'+ ",
    "joints of all quotes": "\"  +  '",
    "brackets": "[](!+",
    "digits": "1",
    "dots": "1.1.1.1",
    "long run": "A",
    "hex": "0x",
    "escapes": "\\x41",
    "unicode escapes": "\\u0041",
    "short of a run": "A" * 199 + ".",
    "short of base64": "'" + "A" * 15,
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
    "loads what is no code": "import './a.txt',",
    "assignments": "window.fetch = ",
    "wallets": "0x" + "a" * 40,
    "base58": "'1" + "A" * 34,
}


def _line(part: str) -> str:
    return (part * (LENGTH // len(part) + 1))[:LENGTH]


def _seconds(change: Change) -> float:
    """CPU time of this process."""
    start = time.process_time()
    assess(change, NOW)
    return time.process_time() - start


def _takes_less(change: Change, bound: float) -> bool:
    """In one of two tries."""
    return any(_seconds(change) < bound for _ in range(2))


@pytest.fixture(scope="module")
def benign() -> float:
    words = "const value = list.map((item) => item.name).filter(Boolean); "
    change = upgrade(changed("a.js", _line(words), gone=(_line(words[::-1]),)))
    return min(_seconds(change) for _ in range(2))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_hostile_line_takes_about_as_long_as_a_benign_one(part: str, benign: float):
    line = _line(part)
    change = upgrade(changed("a.js", line, gone=(line[1:] + "x",)))
    assert _takes_less(change, GENEROUS * benign)


def test_hostile_names_and_manifests_take_no_longer(benign: float):
    long = _line("a/ test/.")
    change = upgrade(
        added(long, "x"),
        new={
            "dependencies": {long: long, "b": _line("a"), "c": _line("1.")},
            "scripts": {"install": _line("node "), "prepare": long},
            "bin": {long: long},
            "exports": [long] * 10,
            "main": _line("./"),
        },
    )
    assert _takes_less(change, GENEROUS * benign)


def test_many_short_hits_take_no_longer(benign: float):
    """Each line a finding of several signals, as many lines as fit into the length."""
    hit = "eval(fetch(process.env))"
    change = upgrade(changed("a.js", *[hit] * (LENGTH // len(hit))))
    assert _takes_less(change, GENEROUS * benign)


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
def test_any_text_at_all_is_read(lines: list[str], gone: list[str], path: str):
    change = upgrade(changed(path, *lines, gone=tuple(gone)), added("x" + path, *lines))
    for signal in SIGNALS.values():
        for finding in signal.detect(change, NOW):
            assert 0 <= finding.weight <= signal.weight
