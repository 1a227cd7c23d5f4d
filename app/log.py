"""The log of both processes: one JSON object a line on stdout.

uvicorn's loggers propagate to the root logger (it is run without a log configuration of its
own), so that their lines take the same shape.
"""

import json
import logging
import math
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

_STRUCK_OUT = "**********"
# What every record has anyway; the rest of a record is what the caller gave as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_PROBED = frozenset({"/health", "/ready"})

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request in hand, or of the one that asked for the job in hand; each line names it."""


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON: time (RFC 3339, UTC), level, logger, message, then the extras."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Strike out each of `secrets` wherever it would appear in a value."""
        super().__init__()
        # the longest first, lest one that contains another be left half visible
        self._secrets = sorted((s for s in secrets if s), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its newline."""
        extras = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
        }
        if id_ := request_id.get():
            line["request_id"] = id_
        for key, value in extras.items():
            line.setdefault(key, self._clean(value))
        if record.exc_info:
            line["exception"] = self._clean(self.formatException(record.exc_info))
        return json.dumps(line)  # ASCII: it fits every locale of stdout

    def _clean(self, value: object) -> Any:
        """Return `value` as something JSON can hold, with no secret in it."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):  # JSON has no NaN
            return value
        if isinstance(value, dict):
            return {str(self._clean(k)): self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, _STRUCK_OUT)
        return text


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether an access line is worth keeping: a probe that is answered 200 is not."""
    args = record.args
    if not isinstance(args, tuple) or len(args) != 5:
        return True
    _client, _method, path, _version, status = args
    return not (status == 200 and str(path) in _PROBED)


def configure(level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every logger of this process to `stream` as JSON lines.

    Args:
        level: debug, info, warning, error or critical; at debug, answered probes are logged too.
        secrets: values that no line may show.
        stream: where to write; stdout unless given.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level != "debug":
        handler.addFilter(lambda record: record.name != "uvicorn.access" or _is_news(record))
