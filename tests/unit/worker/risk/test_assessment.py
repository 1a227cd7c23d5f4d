"""Tests of worker.risk.assessment: one risk from many findings, as docs/risk.md explains."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.upgrades import NOW, changed_file, upgrade
from worker.risk import SIGNALS, Finding, assess, total_risk
from worker.risk.assessment import MAX_MINOR_RISK, MIN_MAJOR_WEIGHT

PAGE = Path(__file__).parents[4] / "docs" / "risk.md"


def _finding(signal: str, weight: float) -> Finding:
    return Finding(signal, weight, "a.js", 1, "text")


WEIGHTS = st.floats(0, 1)
FINDINGS = st.lists(st.builds(_finding, st.sampled_from("abcdefgh"), WEIGHTS), max_size=30)
MINOR = st.lists(
    st.builds(_finding, st.text(max_size=3), st.floats(0, MIN_MAJOR_WEIGHT, exclude_max=True)),
    max_size=60,
)


@given(FINDINGS)
def test_the_risk_is_between_0_and_1(findings: list[Finding]):
    assert 0 <= total_risk(findings) <= 1


@given(FINDINGS, st.randoms())
def test_the_order_of_findings_does_not_matter(findings: list[Finding], random):
    shuffled = findings[:]
    random.shuffle(shuffled)
    assert total_risk(shuffled) == total_risk(findings)


@given(FINDINGS, FINDINGS)
def test_more_findings_never_lower_the_risk(findings: list[Finding], more: list[Finding]):
    assert total_risk(findings + more) >= total_risk(findings)


@given(FINDINGS, st.integers(0, 29), WEIGHTS)
def test_a_higher_weight_never_lowers_the_risk(findings: list[Finding], at: int, weight: float):
    heavier = [
        _finding(f.signal, max(weight, f.weight)) if i == at else f for i, f in enumerate(findings)
    ]
    assert total_risk(heavier) >= total_risk(findings)


@given(FINDINGS, st.floats(0.75, 1))
def test_the_risk_is_at_least_the_weight_of_each_finding(findings: list[Finding], weight: float):
    assert total_risk([*findings, _finding("x", weight)]) >= round(weight, 4)


@given(MINOR)
def test_minor_findings_alone_stay_below_their_limit(findings: list[Finding]):
    assert total_risk(findings) <= MAX_MINOR_RISK < 0.5


@given(FINDINGS)
def test_a_signal_counts_once(findings: list[Finding]):
    assert total_risk(findings * 3) == total_risk(findings)


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
def test_the_risk_follows_the_formula(weights: tuple[float, ...], risk: float):
    assert total_risk(_finding(str(i), w) for i, w in enumerate(weights)) == risk


def test_the_page_names_the_signals_that_block_alone():
    """Changing this list changes the policy."""
    page = PAGE.read_text()
    start = page.index("block alone")
    names = re.findall(r"`([a-z-]+\.[a-z-]+)`", page[start : page.index("\n- ", start)])
    assert set(names) == {signal.id for signal in SIGNALS.values() if signal.weight >= 0.75}


def test_assess_is_deterministic_and_sorts_findings_by_weight():
    lines = ["eval(x)", "fetch('https://a.test')", "// exec('https://b.test')", "spawn(x)"]
    change = upgrade(changed_file("b.js", *lines), changed_file("a.js", *lines))
    first = assess(change, NOW)
    assert first == assess(change, NOW)
    weights = [finding.weight for finding in first.findings]
    assert weights == sorted(weights, reverse=True)
    assert first.risk == total_risk(first.findings) > 0


def test_an_empty_change_has_no_risk():
    assert assess(upgrade(), NOW).risk == 0
    assert assess(upgrade(), NOW).findings == ()
