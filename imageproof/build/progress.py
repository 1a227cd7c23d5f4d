"""BuildKit's progress: parsed, and shown for each image.

`--progress rawjson` (buildx 0.13) prints JSON objects, each on one line or on several. Between
them buildx prints plain text, such as its final error.
"""

from __future__ import annotations

import base64
import contextlib
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

# The name of a step: "[api builder 3/5] RUN …"; "[builder 3/5] RUN …" if only one image is built;
# "[3/5] RUN …" if that image has one stage.
_STEP_NAME = re.compile(r"^\[(?P<place>[^\]]+)\]\s+(?P<instruction>.*)$", re.DOTALL)
_PLACE = re.compile(
    r"^(?:(?P<image>[\w.-]+) (?=\S+ ))?(?:(?P<stage>\S+) +)?(?P<number>\d+)/(?P<count>\d+)$"
)

MAX_MESSAGE_LINES = 1000  # more are no message, but text that begins with a brace


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
        """Duration in seconds, 0 until it is completed."""
        if self.started and self.completed:
            return max(0.0, (self.completed - self.started).total_seconds())
        return 0.0

    @property
    def instruction(self) -> str:
        """The Dockerfile's instruction, on one line."""
        match = _STEP_NAME.match(self.name)
        return redact(" ".join((match["instruction"] if match else self.name).split()))

    @property
    def place(self) -> re.Match[str] | None:
        """Image, stage, number and count of a Dockerfile's step, None for BuildKit's own steps."""
        match = _STEP_NAME.match(self.name)
        return _PLACE.match(match["place"]) if match else None


@dataclass
class BuildLog:
    """The progress of a build so far.

    Attributes:
        vertices: the steps by digest, in the order of their first message.
        other_lines: buildx's output that is not JSON.
    """

    vertices: dict[str, Vertex] = field(default_factory=dict)
    other_lines: list[str] = field(default_factory=list)

    def add(self, message: dict[str, Any]) -> list[Vertex]:
        """Add a message. Return the steps that it completed."""
        completed = []
        for item in message.get("vertexes") or ():
            vertex = self.vertices.setdefault(item["digest"], Vertex(item["digest"]))
            vertex.name = item.get("name", vertex.name)
            vertex.started = _parse_time(item.get("started")) or vertex.started
            vertex.cached = item.get("cached", vertex.cached)
            vertex.error = item.get("error", vertex.error)
            if item.get("completed") and not vertex.completed:
                completed.append(vertex)
            vertex.completed = _parse_time(item.get("completed")) or vertex.completed
        for item in message.get("logs") or ():
            vertex = self.vertices.setdefault(item["vertex"], Vertex(item["vertex"]))
            text = base64.b64decode(item.get("data", "")).decode(errors="replace")
            vertex.log.extend(text.splitlines())
        return completed

    @property
    def failed_step(self) -> Vertex | None:
        """The first step that failed, ignoring steps that were cancelled because of it."""
        for vertex in self.vertices.values():
            if vertex.error and "context canceled" not in vertex.error.lower():
                return vertex
        return None

    @property
    def completed_steps(self) -> list[Vertex]:
        """The completed steps of Dockerfiles."""
        return [v for v in self.vertices.values() if v.place and v.completed]

    def running_steps(self) -> dict[str, Vertex]:
        """Return the latest running step of each image, by the image's name."""
        running = {}
        for vertex in self.vertices.values():
            if vertex.started and not vertex.completed and vertex.place:
                running[_image(vertex.place)] = vertex
        return running


def _parse_time(text: str | None) -> datetime | None:
    # Go prints nanoseconds, Python 3.11 parses at most six digits.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)) if text else None


def parse_messages(lines: Iterable[str], other_lines: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of the stream, and append all other lines to `other_lines`."""
    decoder = json.JSONDecoder()
    buffer, count = "", 0
    for line in lines:
        if not buffer and not line.lstrip().startswith("{"):
            other_lines.append(line.rstrip())
            continue
        buffer, count = buffer + line, count + 1
        if line.rstrip().endswith("}"):
            # If it fails, the brace is an inner one: the object goes on.
            with contextlib.suppress(json.JSONDecodeError, RecursionError):
                message, _ = decoder.raw_decode(buffer.lstrip())
                buffer, count = "", 0
                yield message
        if count >= MAX_MESSAGE_LINES:
            other_lines += buffer.splitlines()
            buffer, count = "", 0


def show_progress(lines: Iterable[str], log: BuildLog, console: Console) -> None:
    """Read the stream into the log, and show a live table.

    Without a terminal, print a line for each completed step instead.
    """
    if not console.is_terminal:
        for message in parse_messages(lines, log.other_lines):
            for vertex in log.add(message):
                if vertex.place and not vertex.cached and not vertex.error:
                    console.print(_line(vertex), markup=False)
        return
    from rich.live import Live

    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for message in parse_messages(lines, log.other_lines):
            log.add(message)
            live.update(_table(log))


def _line(vertex: Vertex) -> str:
    place = vertex.place
    image = (place and place["image"]) or ""
    stage = _stage(place) if place else ""
    return f"  {image:8} {stage:14} {vertex.seconds:6.1f} s  {vertex.instruction[:80]}"


def _image(place: re.Match[str]) -> str:
    return place["image"] or "image"  # BuildKit leaves the name out if it builds only one image


def _stage(place: re.Match[str]) -> str:
    return f"{place['stage'] or ''} {place['number']}/{place['count']}".strip()


def _table(log: BuildLog) -> Table:
    """Return a row for each image: its completed steps, and its running step."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis")
    counts: dict[str, int] = defaultdict(int)
    for vertex in log.completed_steps:
        if vertex.place:
            counts[_image(vertex.place)] += 1
    running = log.running_steps()
    now = time.time()
    for image in sorted(counts.keys() | running.keys()):
        step = running.get(image)
        if step and step.place and step.started:
            stage = _stage(step.place)
            seconds = f"{max(0, now - step.started.timestamp()):.0f} s"
            last_line = strip_escapes(step.log[-1]) if step.log else step.instruction
            # Text, because a build's output is not markup.
            output = Text(last_line, style="dim")
            table.add_row(f"[bold]{image}", f"{counts[image]} done", stage, seconds, output)
        else:
            table.add_row(f"[bold]{image}", f"{counts[image]} done", "", "", "")
    return table
