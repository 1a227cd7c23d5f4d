"""imageproof.build.progress: BuildKit's stream, whole or in pieces, and what it says of a failed build."""

from __future__ import annotations

import base64
import io
import json

import pytest
from rich.console import Console

from imageproof.build.progress import BuildLog, Vertex, _table, follow, messages

START, END = "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:07.623456999Z"
ONE = {"vertexes": [{"digest": "sha256:a", "name": "[api builder 1/2] RUN x"}]}
TWO = {"logs": [{"vertex": "sha256:a", "data": base64.b64encode(b"{ not } json {\n").decode()}]}


def _vertex(digest: str = "a", **changes: object) -> dict[str, object]:
    return {"digest": digest, "name": f"[api builder 1/2] RUN {digest}", **changes}


def _log(*vertexes: dict[str, object]) -> BuildLog:
    log = BuildLog()
    log.take({"vertexes": list(vertexes)})
    return log


def _written(digest: str, text: bytes) -> dict[str, object]:
    return {"logs": [{"vertex": digest, "data": base64.b64encode(text).decode()}]}


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_objects_are_cut_out_of_the_stream_however_they_are_printed(indent):
    text = "".join(json.dumps(m, indent=indent) + "\n" for m in (ONE, TWO, ONE))
    words: list[str] = []
    assert list(messages(text.splitlines(keepends=True), words)) == [ONE, TWO, ONE]
    assert words == []


@pytest.mark.parametrize("indent", [None, 2])
def test_plain_words_between_the_objects_are_kept_apart(indent):
    blocks = ["#1 reading", json.dumps(ONE, indent=indent), "", "ERROR: it broke }"]
    text = "\n".join([*blocks, json.dumps(TWO, indent=indent), "bye"]) + "\n"
    words: list[str] = []
    assert list(messages(text.splitlines(keepends=True), words)) == [ONE, TWO]
    assert words == ["#1 reading", "", "ERROR: it broke }", "bye"]


def test_lines_may_come_without_their_newlines():
    words: list[str] = []
    lines = ["a", *json.dumps(ONE, indent=2).splitlines(), json.dumps(TWO)]
    assert list(messages(lines, words)) == [ONE, TWO]
    assert words == ["a"]


def test_a_stream_that_breaks_off_gives_what_was_whole():
    lines = [json.dumps(ONE) + "\n", '{"vertexes": [\n']
    assert list(messages(lines, [])) == [ONE]


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
def test_a_step_says_its_place_and_its_instruction(name, place, instruction):
    vertex = Vertex("d", name)
    assert (vertex.place.groups() if vertex.place else None) == place
    assert vertex.instruction == instruction


def test_a_number_that_buildkit_aligned_is_a_place_as_well():
    """From ten steps on BuildKit writes `[builder  2/10]`."""
    place = Vertex("d", "[api builder  2/10] RUN x").place
    assert place is not None
    assert place.groups() == ("api", "builder", "2", "10")


def test_nanoseconds_are_read():
    log = _log(_vertex(started=START, completed=END))
    assert log.steps[0].seconds == pytest.approx(2.5)


@pytest.mark.parametrize(
    "moment",
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.1234567+01:00"],
)
def test_other_moments_that_go_writes_are_read(moment):
    assert _log(_vertex(started=moment)).vertices["a"].started is not None


def test_a_step_that_is_not_done_took_no_time_and_is_no_step_yet():
    log = _log(_vertex(started=START))
    assert log.vertices["a"].seconds == 0
    assert log.steps == []
    assert list(log.running()) == ["api"]


def test_cached_steps_are_counted_and_steps_of_buildkit_itself_are_not():
    log = _log(
        _vertex("a", cached=True, started=START, completed=START),
        _vertex("b", started=START, completed=END),
        _vertex("c", name="[internal] load metadata", cached=True, completed=END),
    )
    assert [(v.digest, v.cached) for v in log.steps] == [("a", True), ("b", False)]


def test_a_step_is_told_as_completed_once_only():
    log = BuildLog()
    done = {"vertexes": [_vertex(started=START, completed=END)]}
    assert [v.digest for v in log.take(done)] == ["a"]
    assert log.take(done) == []


def test_a_failed_step_is_found_with_its_log_in_pieces():
    log = _log(_vertex(started=START))
    log.take(_written("a", b"one\ntwo\n"))
    log.take(_written("a", b"bad \xff byte\n"))
    log.take({"vertexes": [_vertex(error="exit code: 1", completed=END)]})
    assert log.failed is not None
    assert log.failed.error == "exit code: 1"
    assert log.failed.log == ["one", "two", "bad \ufffd byte"]


def test_steps_that_were_cancelled_with_it_are_not_the_failure():
    log = _log(
        _vertex("a", error="process did not complete: Context Canceled: context canceled"),
        _vertex("b", error="exit code: 1"),
    )
    assert log.failed is log.vertices["b"]


@pytest.mark.parametrize("error", ["", "context canceled"])
def test_without_a_failure_nothing_has_failed(error):
    assert _log(_vertex(error=error)).failed is None


def test_a_log_may_come_before_its_step():
    log = BuildLog()
    log.take(_written("a", b"early\n"))
    log.take({"vertexes": [_vertex()]})
    assert (log.vertices["a"].name, log.vertices["a"].log) == ("[api builder 1/2] RUN a", ["early"])


def test_without_a_terminal_each_step_that_ran_is_a_line():
    vertexes = [
        _vertex("a", started=START, completed=END),
        _vertex("b", cached=True, completed=END),
        _vertex("c", error="exit code: 1", completed=END),
        _vertex("d", name="[api builder 2/2] RUN [red]x[/red]", started=START, completed=END),
    ]
    out = io.StringIO()
    log = BuildLog()
    follow([json.dumps({"vertexes": vertexes}) + "\n"], log, Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "builder 1/2" in lines[0]
    assert "2.5 s" in lines[0]
    assert "RUN [red]x[/red]" in lines[1]


@pytest.mark.parametrize("text", ["plain", "[/opt/x] done", "copied [red]x"])
def test_on_a_terminal_a_line_of_the_log_is_shown_as_it_is(text):
    log = _log(_vertex(started=START))
    log.take(_written("a", text.encode()))
    console = Console(width=120, file=io.StringIO())
    with console.capture() as shown:
        console.print(_table(log))
    assert text in shown.get()
