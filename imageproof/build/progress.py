"""BuildKit's progress, read and shown: what each image is at, and where a build failed.

`--progress rawjson` (buildx 0.13) is a stream of JSON objects, whole or spread over lines; what
buildx says besides, such as its last error, stands between them as plain text.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imageproof.redaction import redact
from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# "[api builder 3/5] RUN …"; "[builder 3/5] RUN …" where one image alone is built, and
# "[3/5] RUN …" where that has one stage
_NAME = re.compile(r"^\[(?P<place>[^\]]+)\]\s+(?P<instruction>.*)$", re.DOTALL)
_STEP = re.compile(
    r"^(?:(?P<image>[\w.-]+) (?=\S+ ))?(?:(?P<stage>\S+) +)?(?P<number>\d+)/(?P<count>\d+)$"
)


@dataclass
class Vertex:
    """One step of the build graph."""

    digest: str
    name: str = ""
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took, in seconds; 0 while it is not done."""
        if self.started and self.completed:
            return max(0.0, (self.completed - self.started).total_seconds())
        return 0.0

    @property
    def instruction(self) -> str:
        """The Dockerfile's instruction, on one line."""
        match = _NAME.match(self.name)
        return redact(" ".join((match["instruction"] if match else self.name).split()))

    @property
    def place(self) -> re.Match[str] | None:
        """Image, stage and number of a Dockerfile's step; None for BuildKit's own steps."""
        match = _NAME.match(self.name)
        return _STEP.match(match["place"]) if match else None


@dataclass
class BuildLog:
    """All that BuildKit has told so far."""

    vertices: dict[str, Vertex] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> list[Vertex]:
        """Take one message in; the vertices that it completed."""
        completed = []
        for item in message.get("vertexes") or ():
            vertex = self.vertices.setdefault(item["digest"], Vertex(item["digest"]))
            vertex.name = item.get("name", vertex.name)
            vertex.started = _moment(item.get("started")) or vertex.started
            vertex.cached = item.get("cached", vertex.cached)
            vertex.error = item.get("error", vertex.error)
            if item.get("completed") and not vertex.completed:
                completed.append(vertex)
            vertex.completed = _moment(item.get("completed")) or vertex.completed
        for item in message.get("logs") or ():
            vertex = self.vertices.setdefault(item["vertex"], Vertex(item["vertex"]))
            text = base64.b64decode(item.get("data", "")).decode(errors="replace")
            vertex.log.extend(text.splitlines())
        return completed

    @property
    def failed(self) -> Vertex | None:
        """The step that failed first; those that were cancelled with it do not count."""
        for vertex in self.vertices.values():
            if vertex.error and "context canceled" not in vertex.error.lower():
                return vertex
        return None

    @property
    def steps(self) -> list[Vertex]:
        """The steps of Dockerfiles that are done."""
        return [v for v in self.vertices.values() if v.place and v.completed]

    def running(self) -> dict[str, Vertex]:
        """The latest running step of each image."""
        found = {}
        for vertex in self.vertices.values():
            if vertex.started and not vertex.completed and vertex.place:
                found[vertex.place["image"] or "image"] = vertex
        return found


def _moment(text: str | None) -> datetime | None:
    # Go writes nanoseconds; Python reads six digits.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)) if text else None


def messages(lines: Iterable[str], words: list[str]) -> Iterator[dict[str, Any]]:
    """Cut the stream into its JSON objects; what is none goes to `words`."""
    decoder = json.JSONDecoder()
    buffer = ""
    for line in lines:
        if not buffer and not line.lstrip().startswith("{"):
            words.append(line.rstrip())
            continue
        buffer += line
        if not line.rstrip().endswith("}"):
            continue
        try:
            message, _ = decoder.raw_decode(buffer.lstrip())
        except json.JSONDecodeError:
            continue  # an inner brace: more lines belong to it
        buffer = ""
        yield message


def follow(lines: Iterable[str], log: BuildLog, console: Console) -> None:
    """Read the stream to its end and show it: live on a terminal, else a line a step."""
    if not console.is_terminal:
        for message in messages(lines, log.words):
            for vertex in log.take(message):
                if vertex.place and not vertex.cached and not vertex.error:
                    console.print(_line(vertex), markup=False)
        return
    from rich.live import Live

    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for message in messages(lines, log.words):
            log.take(message)
            live.update(_table(log))


def _line(vertex: Vertex) -> str:
    place = vertex.place
    image = (place and place["image"]) or ""
    stage = _stage(place) if place else ""
    return f"  {image:8} {stage:14} {vertex.seconds:6.1f} s  {vertex.instruction[:80]}"


def _stage(place: re.Match[str]) -> str:
    return f"{place['stage'] or ''} {place['number']}/{place['count']}".strip()


def _table(log: BuildLog) -> Table:
    """A row for each image: its steps done, and the step that it is at."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis")
    counts: dict[str, int] = defaultdict(int)
    for vertex in log.steps:
        counts[(vertex.place and vertex.place["image"]) or "image"] += 1
    running = log.running()
    now = time.time()
    for image in sorted(counts.keys() | running.keys()):
        at = running.get(image)
        if at and at.place and at.started:
            stage = _stage(at.place)
            seconds = f"{max(0, now - at.started.timestamp()):.0f} s"
            # As Text: what a build prints is not markup.
            last = Text(strip_escapes(at.log[-1]) if at.log else at.instruction, style="dim")
            table.add_row(f"[bold]{image}", f"{counts[image]} done", stage, seconds, last)
        else:
            table.add_row(f"[bold]{image}", f"{counts[image]} done", "", "", "")
    return table
