"""Tests of the stack's logs: their order, and the saved files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from imageproof.stack.logs import save_logs, sort_by_time
from tests.support.sample_facts import contract

FOREVER = float("inf")


def _line(container: str, seconds: str, text: str) -> str:
    return f"{container}  | 2026-01-01T00:00:{seconds}Z {text}\n"


def test_lines_of_several_containers_are_in_order_of_time_without_their_times():
    entries = [
        _line("api-1", "01.000000000", "first"),
        _line("api-1", "03.000000000", "third | with a bar"),
        _line("worker-1", "02.500000000", "second"),
        _line("worker-1", "03.000000001", ""),
    ]
    assert list(sort_by_time(entries, FOREVER)) == [
        "api-1  | first",
        "worker-1  | second",
        "api-1  | third | with a bar",
        "worker-1  |",
    ]


def test_times_of_different_precision_are_compared_as_times():
    entries = [_line("a", "02.5", "3"), _line("b", "02.25", "2"), _line("c", "02", "1")]
    assert [line[-1] for line in sort_by_time(entries, FOREVER)] == ["1", "2", "3"]


def test_lines_of_one_moment_and_lines_without_a_time_keep_their_place():
    entries = [
        _line("a", "02.0", "one"),
        "a-1 exited with code 0\n",
        _line("a", "02.0", "two"),
        _line("b", "01.0", "zero"),
    ]
    sorted_lines = list(sort_by_time(entries, FOREVER))
    assert sorted_lines == ["b  | zero", "a  | one", "a-1 exited with code 0", "a  | two"]


def test_followed_lines_are_yielded_when_no_more_come():
    batches = iter(
        [_line("a", "02.0", "2"), _line("b", "01.0", "1"), None, _line("a", "00.5", "late")]
    )
    lines = sort_by_time(batches, FOREVER)
    assert [next(lines), next(lines)] == ["b  | 1", "a  | 2"]
    assert next(lines) == "a  | late"


def test_followed_lines_that_never_pause_are_yielded_after_a_bound():
    endless = (_line("a", "01.0", str(number)) for number in range(10**9))
    assert next(sort_by_time(endless, 0.01)) == "a  | 0"


def test_logs_are_saved_once_for_each_container_of_a_service(tmp_path):
    def container(name: str) -> dict[str, Any]:
        labels = {"com.docker.compose.service": "shop", "com.docker.compose.project": "stand"}
        return {"Name": f"/{name}", "Config": {"Labels": labels}}

    engine: Any = SimpleNamespace(
        containers=lambda: [container("shop-1"), container("shop-2")],
        container_log=lambda name, lines: [f"{name} says no"],
    )
    files = save_logs(contract(root=tmp_path), engine)
    folder = tmp_path / ".imageproof/logs/stand"
    assert files == [folder / "shop-1.log", folder / "shop-2.log"]
    assert [file.read_text() for file in files] == ["shop-1 says no\n", "shop-2 says no\n"]
