"""worker.risk: what counts as new, what a finding shows, how many there are, and the page."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.upgrades import NOW, added, binary, changed, removed, upgrade
from worker.change import FileChange
from worker.risk import MAX_FINDINGS, SIGNALS, assess, printable
from worker.risk.reference import table
from worker.risk.signal import signal

PAGE = Path(__file__).parents[4] / "docs" / "risk.md"
EVAL = SIGNALS["code.eval"]


def _lines(*files: FileChange) -> list[int | None]:
    return [finding.line for finding in EVAL.detect(upgrade(*files), NOW)]


def test_a_finding_names_file_and_line_of_the_new_version():
    (finding,) = EVAL.detect(upgrade(changed("lib/a.js", "ok()", "eval(x)", start=41)), NOW)
    assert (finding.path, finding.line, finding.signal) == ("lib/a.js", 42, "code.eval")
    assert finding.text == "runs text as code: eval(x)"


@pytest.mark.parametrize(
    ("gone", "lines"),
    [
        (("eval(x)",), []),
        (("\t  eval( x )  ",), []),  # indented or spaced anew
        (("eval(y)",), [10]),  # given something else
        (("eval(x)", "eval(x)"), []),
    ],
)
def test_code_that_moved_is_not_new(gone: tuple[str, ...], lines: list[int]):
    assert _lines(changed("a.js", "  eval(x)", gone=gone)) == lines


def test_another_kind_of_quotes_and_a_prefix_of_node_are_nothing_new():
    file = changed("a.js", 'import x from "node:http"', gone=("import x from 'http'",))
    assert list(SIGNALS["code.network"].detect(upgrade(file), NOW)) == []


def test_a_line_is_one_finding_of_a_pattern():
    assert _lines(changed("a.js", "eval(x); more(); " + "y;" * 40 + "eval(z)")) == [10]


def test_each_removed_line_makes_up_for_one_added():
    assert _lines(changed("a.js", "eval(x)", "b", "eval(x)", gone=("eval(x)",))) == [12]


def test_what_another_file_lost_does_not_make_up():
    """Or code could be staged in a test, and moved later."""
    lost = changed("test/a.js", gone=("eval(x)",))
    assert _lines(lost, changed("a.js", "eval(x)")) == [10]


def _risk(*files: FileChange) -> float:
    return assess(upgrade(*files), NOW).risk


def test_a_file_that_moved_is_nothing_new_and_what_was_added_to_it_is():
    gone = removed("lib/run-a1b2c3d4.js", "eval(x)")
    assert _risk(gone, added("dist/run-0f0f0f0f.js", "eval(x)")) == 0
    assert _risk(gone, added("dist/run-0f0f0f0f.js", "eval(x)", "eval(y)")) == 0.4


def test_of_several_that_moved_the_large_goes_with_the_large():
    large = ("eval(x)", "b()", "c()")
    old = [removed("lib/run-aaaaaaaa.js", "a()"), removed("lib/run-bbbbbbbb.js", *large)]
    new = [added("lib/run-cccccccc.js", *large), added("lib/run-dddddddd.js", "a()")]
    assert _risk(*old, *new) == 0


def test_packed_code_that_moved_was_packed_before():
    packed = "x;" * 2000
    assert _risk(removed("lib/run.js", packed), added("src/run.js", packed)) == 0


@pytest.mark.parametrize("path", ["test/run.js", "lib/other.js", "lib/run.mjs"])
def test_a_file_takes_the_place_of_one_with_its_name_that_was_code(path: str):
    assert _risk(removed(path, "eval(x)"), added("lib/run.js", "eval(x)")) == 0.4


def test_a_removed_file_makes_up_for_one_added():
    files = [added(f"{folder}/run.js", "eval(x)") for folder in "abc"]
    assert _risk(removed("lib/run.js", "eval(x)"), *files) == 0.4


def test_a_file_that_moved_is_still_a_new_name():
    findings = assess(upgrade(removed("a.js", "x"), added("b\u202e/a.js", "x")), NOW).findings
    assert [finding.signal for finding in findings] == ["files.hidden-name"]


def test_removed_code_is_no_finding():
    assert _lines(changed("a.js", gone=("eval(x)",))) == []


def test_findings_of_a_signal_are_bounded_the_gravest_first():
    remarks = [f"// eval({n})" for n in range(3000)]
    findings = EVAL.findings(upgrade(changed("a.js", *remarks, "eval(x)")), NOW)
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[0].line, findings[0].weight) == (3010, 0.4)
    assert [finding.line for finding in findings[1:3]] == [10, 11]
    assert findings[-1].text == f"and {3001 - MAX_FINDINGS} more"


def test_findings_at_the_bound_need_no_more():
    findings = EVAL.findings(
        upgrade(changed("a.js", *[f"eval({n})" for n in range(MAX_FINDINGS)])), NOW
    )
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
def test_what_does_not_show_is_written_out(text: str, shown: str):
    assert printable(text) == shown


@given(st.text(max_size=400), st.integers(1, 300))
def test_a_printable_text_is_one_bounded_line(text: str, limit: int):
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


NASTY = st.text(
    st.sampled_from("eval(fetch('\u202e\x1b[2J\n\ufe01\ud800 _0x3f2a https://x.test/ process.env"),
    max_size=300,
)


@given(NASTY, NASTY, NASTY)
def test_no_finding_carries_what_strangers_wrote_as_it_is(path: str, line: str, spec: str):
    change = upgrade(
        added(path, line),
        binary(path + "x", "elf"),
        new={"dependencies": {line: spec}, "scripts": {"install": line}, "bin": {spec: line}},
        after={"publisher": line},
    )
    findings = assess(change, NOW).findings
    assert findings
    for finding in findings:
        assert finding.path.isprintable()
        assert finding.text.isprintable()
        assert len(finding.text) <= 240
        assert len(finding.path) <= 300


def test_two_signals_cannot_share_an_id():
    with pytest.raises(ValueError, match=r"code\.eval"):
        signal("code.eval", 0.5, title="", why="")(EVAL.look)


def test_every_signal_is_documented():
    for one in SIGNALS.values():
        assert one.title
        assert one.why.endswith(".")
        assert 0 < one.weight <= 1


def test_the_page_has_the_table_of_signals_as_they_are():
    assert table() in PAGE.read_text(), "`python -m worker.risk.reference` prints it anew"
