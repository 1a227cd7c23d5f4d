"""Times that the engine reports."""

from __future__ import annotations

from datetime import UTC, datetime

_WHOLE_SECONDS = len("2026-01-31T12:00:00")  # the engine adds nanoseconds and Z


def seconds_since(moment: str) -> float:
    """Return the seconds since a time of `docker inspect`, by this machine's clock.

    Return 0 if the engine's clock is ahead, or if the text is no time.
    """
    try:
        start = datetime.fromisoformat(moment[:_WHOLE_SECONDS]).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, (datetime.now(UTC) - start).total_seconds())
