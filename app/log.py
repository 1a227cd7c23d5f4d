"""Log of both processes: one JSON object per line on stdout.

uvicorn runs without its own log configuration, so its loggers propagate to the root logger and
its lines have the same format.
"""

import json
import logging
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

_REDACTED = "**********"
# Attributes of every record, and uvicorn's coloured message; others come from `extra`.
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "color_message", "repeats",
}  # fmt: skip
SELDOM_SECONDS = 60.0
_MAX_SELDOM_KEYS = 1000
_PROBE_PATHS = frozenset({"/health", "/ready"})
SUMMARY_SECONDS = 60
"""Time between two summaries of repeated lines."""
REPEATS = {"repeats": True}
"""`extra` of a line that may come often: only its first is written in `SUMMARY_SECONDS`."""

has_token: ContextVar[bool] = ContextVar("has_token", default=False)
"""Whether the current request has the API's token."""
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the current request, or of the request that submitted the current job; on every line."""


class JsonFormatter(logging.Formatter):
    """Formatter for JSON lines: time (RFC 3339, UTC), level, logger, message, then the extras."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Redact each of `secrets` in every value."""
        super().__init__()
        # Longest first: a secret may contain another one, whose rest would stay.
        self._secrets = sorted((s for s in secrets if s), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without a newline."""
        extras = {k: v for k, v in vars(record).items() if k not in _STANDARD_ATTRIBUTES}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        if id_ := request_id.get():
            line["request_id"] = id_
        for key, value in extras.items():
            line.setdefault(key, self._redact(value))
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line)  # ASCII, so that every locale of stdout can encode it

    def _redact(self, value: object) -> Any:
        """Return `value` as a JSON value without secrets."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):  # JSON has no NaN
            return value
        if isinstance(value, dict):
            return {str(self._redact(k)): self._redact(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._redact(item) for item in value]
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, _REDACTED)
        return text


class Seldom:
    """Logger of failures that many requests or polls meet: it logs each at most once a minute."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """Log to `logger`; `clock` returns seconds."""
        self._logger = logger
        self._clock = clock
        self._logged_at: dict[tuple[object, ...], float] = {}

    def warning(self, message: str, extra: Mapping[str, object]) -> None:
        """Log a warning, unless the same one was logged in the last SELDOM_SECONDS."""
        now, key = self._clock(), (message, *extra.values())
        if now - self._logged_at.get(key, -math.inf) < SELDOM_SECONDS:
            return
        if len(self._logged_at) >= _MAX_SELDOM_KEYS:
            self._logged_at.clear()
        self._logged_at[key] = now
        self._logger.warning(message, extra=dict(extra))


def _is_successful_probe(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn's access log is about a health probe with status 200."""
    args = record.args
    if not isinstance(args, tuple) or len(args) != 5:
        return False
    _client, _method, path, _version, status = args
    return status == 200 and str(path) in _PROBE_PATHS


class Repeats(logging.Filter):
    """Filter of lines that a client without the token can cause at will: they must not fill a log.

    The first line of a kind passes, and the others are counted: every `SUMMARY_SECONDS` one line
    has the numbers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no line counted."""
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._began_at = clock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        kind = _repeated_kind(record)
        if kind is None:
            return True
        if self._clock() - self._began_at >= SUMMARY_SECONDS:
            self.summarize()
        with self._lock:
            self._counts[kind] += 1
            return self._counts[kind] == 1

    def summarize(self) -> None:
        """Write how many lines of each kind were left out, and begin again."""
        with self._lock:
            left_out = {kind: count - 1 for kind, count in self._counts.items() if count > 1}
            self._counts.clear()
            self._began_at = self._clock()
        if left_out:
            logging.getLogger(__name__).warning("repeated lines", extra={"left_out": left_out})


def _repeated_kind(record: logging.LogRecord) -> str | None:
    """Return the kind of a line that may come often, or None."""
    if record.name == "uvicorn.access":
        args = record.args
        status = args[-1] if isinstance(args, tuple) and args else None
        return None if has_token.get() else f"requests without the token, status {status}"
    if record.name == "uvicorn.error" and record.levelno == logging.WARNING:
        return record.getMessage()  # uvicorn warns of clients only, in a few fixed texts
    if getattr(record, "repeats", False):
        reason = getattr(record, "reason", None)
        return record.getMessage() + (f": {reason}" if reason else "")
    return None


def configure(level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> Repeats:
    """Send every logger of this process to `stream` as JSON lines.

    Args:
        level: debug, info, warning, error or critical. Successful probes and repeated lines are
            logged only at debug.
        secrets: values to redact.
        stream: the output; default: stdout.

    Returns:
        The filter of repeated lines, whose `summarize` is to be called every `SUMMARY_SECONDS`.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    repeats = Repeats()
    if level != "debug":
        handler.addFilter(lambda r: r.name != "uvicorn.access" or not _is_successful_probe(r))
        handler.addFilter(repeats)
    return repeats
