"""What `up` would start, as Compose plans it (`docker compose --dry-run up`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imageproof.stack.compose import UP_OPTIONS

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# Such as ` DRY-RUN MODE -  Container shop-api-1  Created`; a volume's name is in quotes.
_LINE = re.compile(r"\s*DRY-RUN MODE -\s+(?P<kind>\w+) \"?(?P<name>\S+?)\"?\s+(?P<event>\w+)\s*")
_TEMPORARY_NAME = re.compile(r"[0-9a-f]{12}_")  # of a container that replaces another one
_VERBS = {
    "Created": "would create",
    "Recreated": "would replace",
    "Removed": "would remove",
    "Running": "would keep",
    "Started": "would start",
}


def plan_start(engine: Engine) -> list[str]:
    """Return each object that `up` would create, replace, start, keep or remove, as a line."""
    arguments = ("--dry-run", "up", *UP_OPTIONS)
    return list(parse_plan(engine.stream_compose("planning the start", *arguments)))


def parse_plan(lines: Iterable[str | None]) -> Iterator[str]:
    """Yield what the lines of Compose's plan mean; other lines are ignored."""
    planned: set[str] = set()
    for line in lines:
        match = _LINE.fullmatch(line or "")
        if not match or match["event"] not in _VERBS or _TEMPORARY_NAME.match(match["name"]):
            continue
        thing = f"{match['kind'].lower()} {match['name']}"
        if thing not in planned:  # a created container is started too
            planned.add(thing)
            yield f"{_VERBS[match['event']]} {thing}"
