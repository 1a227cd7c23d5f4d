"""Tests of the benchmarks: the parts that run, and the page that they write."""

from __future__ import annotations

import pytest

from imageproof import signals
from imageproof.errors import TestsFailed, UsageError
from ops import bench
from tests.bench import page
from tests.bench.row import Row, in_turns


@pytest.fixture
def commands(monkeypatch):
    """Record the command lines instead of running them."""
    command_lines = []

    def run(command, *_):
        command_lines.append(command[1:])
        return 0

    monkeypatch.setattr(signals, "run", run)
    return command_lines


def test_all_parts_are_measured_by_default(commands, tmp_path):
    bench.measure(tmp_path, None)
    assert commands == [["-m", "tests.bench"]]


def test_single_part_is_measured(commands, tmp_path):
    bench.measure(tmp_path, "images")
    assert commands == [["-m", "tests.bench", "images"]]


def test_unknown_part_is_a_usage_error(commands, tmp_path):
    with pytest.raises(UsageError, match="images, commands, reviews"):
        bench.measure(tmp_path, "pictures")
    assert commands == []


def test_failed_benchmark_raises(monkeypatch, tmp_path):
    monkeypatch.setattr(signals, "run", lambda *_: 1)
    with pytest.raises(TestsFailed, match="status 1"):
        bench.measure(tmp_path, None)


# --- the page

ROWS = [
    Row("images", "start", "s", (0.5, 0.7, 0.6), "other tool", (1.0, 1.2, 1.4), "less", True, "a"),
    Row("commands", "warm", "s", (2.0,), "bake", (1.0,), "at most 0.4 s more", False, "b"),
    Row("reviews", "p99", "ms", (12.0,), "", (), "under 50 ms", True, "c"),
]
MACHINE = {"processors": 2, "memory_gib": 24, "architecture": "x", "engine": "26", "python": "3"}


def test_page_shows_spread_ratio_and_target_of_each_row():
    text = page.page(MACHINE, ROWS)
    assert (
        "| start | 0.6 s (0.5-0.7) | other tool | 1.2 s (1-1.4) | 0.50 | less | yes | a |" in text
    )
    assert "| warm | 2 s | bake | 1 s | 2.00 | at most 0.4 s more | no | b |" in text
    assert "| p99 | 12 ms |  |  |  | under 50 ms | yes | c |" in text


def test_picture_has_a_bar_for_each_ratio_and_loads_nothing():
    text = page.picture(ROWS)
    assert text.startswith("<svg ")
    assert "start" in text
    assert "p99" not in text
    assert text.replace('xmlns="http://www.w3.org/2000/svg"', "").count("http") == 0


def test_actions_alternate_and_may_measure_themselves():
    order = []
    _, second = in_turns(
        2, lambda: order.append("a"), lambda: 7.25, prepare=lambda: order.append("prepared")
    )
    assert order == ["prepared", "a", "prepared"] * 2
    assert second == [7.25, 7.25]
