"""worker.risk.assessment: one number, by the rules that docs/risk.md states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.upgrades import NOW, changed, upgrade
from worker.risk import SIGNALS, Finding, assess, combine
from worker.risk.assessment import GRAVE, TRIVIAL_CAP


def _finding(signal: str, weight: float) -> Finding:
    return Finding(signal, weight, "a.js", 1, "text")


WEIGHTS = st.floats(0, 1)
FINDINGS = st.lists(st.builds(_finding, st.sampled_from("abcdefgh"), WEIGHTS), max_size=30)
TRIVIAL = st.lists(
    st.builds(_finding, st.text(max_size=3), st.floats(0, GRAVE, exclude_max=True)), max_size=60
)


@given(FINDINGS)
def test_it_lies_between_0_and_1(findings: list[Finding]):
    assert 0 <= combine(findings) <= 1


@given(FINDINGS, st.randoms())
def test_the_order_of_findings_does_not_matter(findings: list[Finding], random):
    mixed = findings[:]
    random.shuffle(mixed)
    assert combine(mixed) == combine(findings)


@given(FINDINGS, FINDINGS)
def test_more_findings_never_lower_it(findings: list[Finding], more: list[Finding]):
    assert combine(findings + more) >= combine(findings)


@given(FINDINGS, st.integers(0, 29), WEIGHTS)
def test_a_graver_finding_never_lowers_it(findings: list[Finding], at: int, weight: float):
    changed_one = [
        _finding(f.signal, max(weight, f.weight)) if i == at else f for i, f in enumerate(findings)
    ]
    assert combine(changed_one) >= combine(findings)


@given(FINDINGS, st.floats(0.75, 1))
def test_one_grave_finding_suffices(findings: list[Finding], weight: float):
    assert combine([*findings, _finding("x", weight)]) >= round(weight, 4)


@given(TRIVIAL)
def test_trivial_findings_alone_stay_under_their_cap(findings: list[Finding]):
    assert combine(findings) <= TRIVIAL_CAP < 0.5


@given(FINDINGS)
def test_a_signal_counts_once(findings: list[Finding]):
    assert combine(findings * 3) == combine(findings)


@pytest.mark.parametrize(
    ("weights", "risk"),
    [
        ((), 0.0),
        ((0.1,), 0.1),
        ((0.1, 0.1, 0.1, 0.1), 0.2),  # capped
        ((0.5, 0.4), 0.7),
        ((0.5, 0.4, 0.1), 0.73),
        ((0.5, 0.4, 0.19, 0.19), 0.76),
        ((1.0, 0.3), 1.0),
    ],
)
def test_it_is_what_the_formula_says(weights: tuple[float, ...], risk: float):
    assert combine(_finding(str(i), w) for i, w in enumerate(weights)) == risk


def test_these_signals_block_by_themselves_and_no_others():
    """A change of this list is a change of the policy: docs/risk.md names them."""
    alone = {signal.id for signal in SIGNALS.values() if signal.weight >= 0.75}
    assert alone == {
        "scripts.lifecycle",
        "files.disguised",
        "files.hidden-name",
        "files.unread",
        "code.obfuscated",
        "code.invisible",
        "together.exfiltration",
    }


def test_an_assessment_is_the_same_each_time_and_the_gravest_stand_first():
    lines = ["eval(x)", "fetch('https://a.test')", "// exec('https://b.test')", "spawn(x)"]
    change = upgrade(changed("b.js", *lines), changed("a.js", *lines))
    first = assess(change, NOW)
    assert first == assess(change, NOW)
    weights = [finding.weight for finding in first.findings]
    assert weights == sorted(weights, reverse=True)
    assert first.risk == combine(first.findings) > 0


def test_no_change_is_no_risk():
    assert assess(upgrade(), NOW).risk == 0
    assert assess(upgrade(), NOW).findings == ()
