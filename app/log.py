"""Log of both processes: one JSON object per line on stdout.

uvicorn runs without its own log configuration, so its loggers propagate to the root logger and
its lines have the same format.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

_REDACTED = "**********"
# Attributes of every record, and uvicorn's coloured message; others come from `extra`.
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "color_message",
}  # fmt: skip
SELDOM_SECONDS = 60.0
_MAX_SELDOM_KEYS = 1000
_PROBE_PATHS = frozenset({"/health", "/ready"})

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


def configure(level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every logger of this process to `stream` as JSON lines.

    Args:
        level: debug, info, warning, error or critical. Successful probes are logged only at debug.
        secrets: values to redact.
        stream: the output; default: stdout.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level != "debug":
        handler.addFilter(lambda r: r.name != "uvicorn.access" or not _is_successful_probe(r))
