"""The `--format` option that several commands share."""

from __future__ import annotations

from collections.abc import Iterable

from imageproof.errors import UsageError


def require_format(name: str, formats: Iterable[str]) -> None:
    """Raise UsageError unless `name` is one of the formats."""
    if name not in formats:
        raise UsageError(
            "reading the command line",
            f"there is no format {name!r}",
            hint=f"formats: {', '.join(sorted(formats))}",
        )
