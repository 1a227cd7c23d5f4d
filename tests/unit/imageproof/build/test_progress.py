"""Tests of BuildKit's progress: the JSON stream, the steps and their display."""

from __future__ import annotations

import base64
import io
import json

import pytest
from rich.console import Console

from imageproof.build.progress import BuildLog, Vertex, _table, parse_messages, show_progress

START, END = "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:07.623456999Z"
VERTEX_MESSAGE = {"vertexes": [{"digest": "sha256:a", "name": "[api builder 1/2] RUN x"}]}
LOG_MESSAGE = {
    "logs": [{"vertex": "sha256:a", "data": base64.b64encode(b"{ not } json {\n").decode()}]
}


def _vertex(digest: str = "a", **changes: object) -> dict[str, object]:
    return {"digest": digest, "name": f"[api builder 1/2] RUN {digest}", **changes}


def _log(*vertexes: dict[str, object]) -> BuildLog:
    log = BuildLog()
    log.add({"vertexes": list(vertexes)})
    return log


def _output(digest: str, text: bytes) -> dict[str, object]:
    return {"logs": [{"vertex": digest, "data": base64.b64encode(text).decode()}]}


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_objects_are_parsed_on_one_line_and_on_several(indent):
    text = "".join(
        json.dumps(m, indent=indent) + "\n" for m in (VERTEX_MESSAGE, LOG_MESSAGE, VERTEX_MESSAGE)
    )
    other: list[str] = []
    assert list(parse_messages(text.splitlines(keepends=True), other)) == [
        VERTEX_MESSAGE,
        LOG_MESSAGE,
        VERTEX_MESSAGE,
    ]
    assert other == []


@pytest.mark.parametrize("indent", [None, 2])
def test_plain_lines_between_the_objects_are_collected(indent):
    blocks = ["#1 reading", json.dumps(VERTEX_MESSAGE, indent=indent), "", "ERROR: it broke }"]
    text = "\n".join([*blocks, json.dumps(LOG_MESSAGE, indent=indent), "bye"]) + "\n"
    other: list[str] = []
    assert list(parse_messages(text.splitlines(keepends=True), other)) == [
        VERTEX_MESSAGE,
        LOG_MESSAGE,
    ]
    assert other == ["#1 reading", "", "ERROR: it broke }", "bye"]


def test_lines_without_newlines_are_parsed():
    other: list[str] = []
    lines = ["a", *json.dumps(VERTEX_MESSAGE, indent=2).splitlines(), json.dumps(LOG_MESSAGE)]
    assert list(parse_messages(lines, other)) == [VERTEX_MESSAGE, LOG_MESSAGE]
    assert other == ["a"]


def test_truncated_object_at_the_end_is_dropped():
    lines = [json.dumps(VERTEX_MESSAGE) + "\n", '{"vertexes": [\n']
    assert list(parse_messages(lines, [])) == [VERTEX_MESSAGE]


@pytest.mark.parametrize(
    ("name", "place", "instruction"),
    [
        ("[api builder 2/3] RUN x", ("api", "builder", "2", "3"), "RUN x"),
        ("[builder 2/3] RUN x", (None, "builder", "2", "3"), "RUN x"),
        ("[api stage-1 12/13] COPY a b", ("api", "stage-1", "12", "13"), "COPY a b"),
        (
            "[a.b-c builder 1/1] RUN set -eux;\n   y",
            ("a.b-c", "builder", "1", "1"),
            "RUN set -eux; y",
        ),
        ("[2/3] RUN x", (None, None, "2", "3"), "RUN x"),
        ("[internal] load build definition", None, "load build definition"),
        ("[api internal] load build definition", None, "load build definition"),
        ("[auth] shop:pull token", None, "shop:pull token"),
        ("exporting to image", None, "exporting to image"),
        ("", None, ""),
    ],
)
def test_step_name_is_split_into_place_and_instruction(name, place, instruction):
    vertex = Vertex("d", name)
    assert (vertex.place.groups() if vertex.place else None) == place
    assert vertex.instruction == instruction


def test_aligned_step_number_is_parsed():
    """From ten steps on, BuildKit writes `[builder  2/10]`."""
    place = Vertex("d", "[api builder  2/10] RUN x").place
    assert place is not None
    assert place.groups() == ("api", "builder", "2", "10")


def test_nanoseconds_are_parsed():
    log = _log(_vertex(started=START, completed=END))
    assert log.completed_steps[0].seconds == pytest.approx(2.5)


@pytest.mark.parametrize(
    "moment",
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.1234567+01:00"],
)
def test_other_time_formats_of_go_are_parsed(moment):
    assert _log(_vertex(started=moment)).vertices["a"].started is not None


def test_running_step_has_no_duration_and_is_not_counted():
    log = _log(_vertex(started=START))
    assert log.vertices["a"].seconds == 0
    assert log.completed_steps == []
    assert list(log.running_steps()) == ["api"]


def test_cached_steps_are_counted_and_buildkits_own_steps_are_not():
    log = _log(
        _vertex("a", cached=True, started=START, completed=START),
        _vertex("b", started=START, completed=END),
        _vertex("c", name="[internal] load metadata", cached=True, completed=END),
    )
    assert [(v.digest, v.cached) for v in log.completed_steps] == [("a", True), ("b", False)]


def test_step_is_reported_as_completed_once():
    log = BuildLog()
    done = {"vertexes": [_vertex(started=START, completed=END)]}
    assert [v.digest for v in log.add(done)] == ["a"]
    assert log.add(done) == []


def test_failed_step_has_its_whole_log():
    log = _log(_vertex(started=START))
    log.add(_output("a", b"one\ntwo\n"))
    log.add(_output("a", b"bad \xff byte\n"))
    log.add({"vertexes": [_vertex(error="exit code: 1", completed=END)]})
    assert log.failed_step is not None
    assert log.failed_step.error == "exit code: 1"
    assert log.failed_step.log == ["one", "two", "bad \ufffd byte"]


def test_cancelled_steps_are_not_the_failure():
    log = _log(
        _vertex("a", error="process did not complete: Context Canceled: context canceled"),
        _vertex("b", error="exit code: 1"),
    )
    assert log.failed_step is log.vertices["b"]


@pytest.mark.parametrize("error", ["", "context canceled"])
def test_without_a_failure_there_is_no_failed_step(error):
    assert _log(_vertex(error=error)).failed_step is None


def test_log_before_its_step_is_kept():
    log = BuildLog()
    log.add(_output("a", b"early\n"))
    log.add({"vertexes": [_vertex()]})
    assert (log.vertices["a"].name, log.vertices["a"].log) == ("[api builder 1/2] RUN a", ["early"])


def test_without_a_terminal_each_executed_step_is_a_line():
    vertexes = [
        _vertex("a", started=START, completed=END),
        _vertex("b", cached=True, completed=END),
        _vertex("c", error="exit code: 1", completed=END),
        _vertex("d", name="[api builder 2/2] RUN [red]x[/red]", started=START, completed=END),
    ]
    out = io.StringIO()
    log = BuildLog()
    show_progress([json.dumps({"vertexes": vertexes}) + "\n"], log, Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "builder 1/2" in lines[0]
    assert "2.5 s" in lines[0]
    assert "RUN [red]x[/red]" in lines[1]


@pytest.mark.parametrize("text", ["plain", "[/opt/x] done", "copied [red]x"])
def test_on_a_terminal_a_log_line_is_shown_without_markup(text):
    log = _log(_vertex(started=START))
    log.add(_output("a", text.encode()))
    console = Console(width=120, file=io.StringIO())
    with console.capture() as shown:
        console.print(_table(log))
    assert text in shown.get()
