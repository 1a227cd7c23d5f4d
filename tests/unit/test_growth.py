"""Tests of tests.support.growth: it tells linear functions from quadratic and exponential ones."""

from __future__ import annotations

import re

import pytest

from tests.support import growth
from tests.support.growth import TooSlow, assert_linear, count_steps


def _copy_the_rest(text: str) -> int:
    """Copy the text once per character: quadratic, with the small constant of a memory copy."""
    return sum(len(text[index:]) for index in range(len(text)))


def _scan_again(text: str) -> int:
    return sum("y" in text for _ in text)


def test_a_quadratic_function_fails():
    with pytest.raises(AssertionError, match="the cost grew"):
        assert_linear(lambda size: "x" * size, _copy_the_rest)


def test_a_quadratic_pattern_fails():
    with pytest.raises(AssertionError, match="the cost grew"):
        assert_linear(lambda size: "a" * size, re.compile("a*b").findall)


def test_a_quadratic_part_behind_a_linear_one_fails():
    def run(text: str) -> None:
        for _ in range(20):
            sum(map(ord, text))
        _scan_again(text)

    with pytest.raises(AssertionError, match="the cost grew"):
        assert_linear(lambda size: "x" * size, run)


def test_an_exponential_pattern_fails_in_bounded_time(monkeypatch):
    monkeypatch.setattr(growth, "MAX_SECONDS", 0.2)
    with pytest.raises(TooSlow):
        assert_linear(lambda size: "a" * size, re.compile("(?:a|a)*b").match)


@pytest.mark.parametrize(
    "linear",
    [
        lambda text: sum(map(ord, text)),
        lambda text: sorted(text, key=hash),
        re.compile("a{1,8}b").findall,
        len,
    ],
    ids=["sum", "sort", "pattern", "constant"],
)
def test_a_linear_function_passes(linear):
    assert_linear(lambda size: "ax" * size, linear)


def test_counted_steps_show_the_growth_without_a_clock():
    assert count_steps("x".__mul__, len, size=1000).ratio == 4
    assert count_steps("x".__mul__, _copy_the_rest, size=1000).ratio > growth.MAX_RATIO
