"""Tests of findings in worker.risk.signal and text: limited in number and length, printable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.upgrades import NOW, added_file, binary_file, changed_file, upgrade
from worker.risk import MAX_FINDINGS, SIGNALS, assess, printable
from worker.risk.signal import signal

EVAL = SIGNALS["code.eval"]


def test_the_findings_of_highest_weight_are_kept_and_the_rest_counted():
    comments = [f"// eval({n})" for n in range(3000)]
    findings = EVAL.findings(upgrade(changed_file("a.js", *comments, "eval(x)")), NOW)
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[0].line, findings[0].weight) == (3010, 0.4)
    assert [finding.line for finding in findings[1:3]] == [10, 11]
    assert findings[-1].text == f"and {3001 - MAX_FINDINGS} more"


def test_exactly_the_maximum_of_findings_has_no_count():
    lines = [f"eval({n})" for n in range(MAX_FINDINGS)]
    findings = EVAL.findings(upgrade(changed_file("a.js", *lines)), NOW)
    assert len(findings) == MAX_FINDINGS
    assert findings[-1].text.startswith("runs")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — text ü 日本", "plain — text ü 日本"),
        ("a\tb\nc\r\x1b[31m\x00", "a b\\u{a}c\\u{d}\\u{1b}[31m\\u{0}"),
        ("\u202egnp.js", "\\u{202e}gnp.js"),
        (
            "a\u200bb\u2028c\ufe0f\U000e0041\u3164",
            "a\\u{200b}b\\u{2028}c\\u{fe0f}\\u{e0041}\\u{3164}",
        ),
        ("\ud800\ue000\u00a0", "\\u{d800}\\u{e000}\\u{a0}"),
    ],
)
def test_printable_escapes_invisible_characters(text: str, shown: str):
    assert printable(text) == shown


@given(st.text(max_size=400), st.integers(1, 300))
def test_printable_returns_one_line_within_the_limit(text: str, limit: int):
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


HOSTILE_TEXT = st.text(
    st.sampled_from("eval(fetch('\u202e\x1b[2J\n\ufe01\ud800 _0x3f2a https://x.test/ process.env"),
    max_size=300,
)


@given(HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT)
def test_findings_are_printable_for_any_untrusted_text(path: str, line: str, spec: str):
    change = upgrade(
        added_file(path, line),
        binary_file(path + "x", "elf"),
        new_manifest={
            "dependencies": {line: spec},
            "scripts": {"install": line},
            "bin": {spec: line},
        },
        new_metadata={"publisher": line},
    )
    findings = assess(change, NOW).findings
    assert findings
    for finding in findings:
        assert finding.path.isprintable()
        assert finding.text.isprintable()
        assert len(finding.text) <= 240
        assert len(finding.path) <= 300


def test_two_signals_cannot_have_the_same_id():
    with pytest.raises(ValueError, match=r"code\.eval"):
        signal("code.eval", 0.5, title="", why="")(EVAL.detector)
