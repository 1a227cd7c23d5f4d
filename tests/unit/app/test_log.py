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
