"""Tests of app.log: JSON lines with extras and without secrets."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from app import log

SECRET = 'hush"\\5f3a'


@pytest.fixture(autouse=True)
def _restore_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_has_utc_time_level_logger_message_and_extras() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream)
    logging.getLogger("a.b").warning("two\nlines %s", "é", extra={"n": 1, "x": float("nan")})
    (line,) = _lines(stream)
    assert line.pop("time").endswith("+00:00")
    expected = {"level": "warning", "logger": "a.b", "message": "two\nlines é", "n": 1, "x": "nan"}
    assert line == expected


def test_secrets_are_redacted_in_message_extras_and_traceback() -> None:
    stream = io.StringIO()
    log.configure("info", [SECRET], stream)
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        logging.getLogger("x").exception("m %s", SECRET, extra={"a": SECRET, "b": {"c": [SECRET]}})
    (line,) = _lines(stream)
    assert "ValueError: bad **********" in line["exception"]
    assert "hush" not in stream.getvalue()


def test_extras_cannot_replace_standard_keys() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream)
    logging.getLogger("x").info("m", extra={"level": "fake", "time": "never"})
    assert _lines(stream)[0]["level"] == "info"


def test_lines_below_the_level_are_dropped() -> None:
    stream = io.StringIO()
    log.configure("error", stream=stream)
    logging.getLogger("x").warning("m")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("level", "path", "status", "written"),
    [
        ("info", "/health", 200, False),
        ("info", "/ready", 503, True),
        ("info", "/v1/x", 200, True),
        ("debug", "/health", 200, True),
    ],
)
def test_successful_probes_are_logged_only_at_debug(
    level: str, path: str, status: int, written: bool
) -> None:
    stream = io.StringIO()
    log.configure(level, stream=stream)
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", status
    )
    assert bool(stream.getvalue()) is written


def test_log_goes_to_stdout_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info")
    logging.getLogger("x").info("m")
    assert json.loads(capsys.readouterr().out)["message"] == "m"


# --- lines that a client can cause at will


def _access(path: str, status: int) -> None:
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", status
    )


def test_repeated_lines_are_counted_in_one_summary() -> None:
    stream = io.StringIO()
    repeats = log.configure("info", stream=stream)
    for _ in range(1000):
        _access("/v1/reviews", 401)
        logging.getLogger("x").warning("broken", extra={"reason": "chunk", **log.REPEATS})
    repeats.summarize()
    repeats.summarize()
    first, second, summary = _lines(stream)
    assert (first["message"].split()[-1], second["message"]) == ("401", "broken")
    assert "repeats" not in second
    assert summary["left_out"] == {
        "requests without the token, status 401": 999,
        "broken: chunk": 999,
    }
    _access("/v1/reviews", 401)
    assert len(_lines(stream)) == 4


def test_summary_comes_with_the_next_line_after_a_minute() -> None:
    now = [0.0]
    stream = io.StringIO()
    log.configure("info", stream=stream)
    repeats = log.Repeats(lambda: now[0])
    logging.getLogger().handlers[0].filters[-1:] = [repeats]
    for _ in range(3):
        _access("/nothing", 404)
    now[0] = log.SUMMARY_SECONDS
    _access("/nothing", 404)
    messages = [line["message"] for line in _lines(stream)]
    assert messages[1:2] == ["repeated lines"]
    assert len(messages) == 3


def test_requests_with_the_token_are_all_logged() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream)
    token = log.has_token.set(True)
    try:
        for _ in range(5):
            _access("/v1/reviews", 200)
    finally:
        log.has_token.reset(token)
    assert len(_lines(stream)) == 5


def test_debug_level_leaves_nothing_out() -> None:
    stream = io.StringIO()
    log.configure("debug", stream=stream)
    for _ in range(5):
        _access("/nothing", 404)
    assert len(_lines(stream)) == 5
