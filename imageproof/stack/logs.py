"""Logs of the stack: printed in order of time, followed, and saved in files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

MAX_LOG_LINES = 10_000  # of each container, in the saved logs
LOGS_FOLDER = ".imageproof/logs"
# A followed line is held back for an earlier one of another container: until no line comes for
# QUIET_SECONDS, and at most MAX_HOLD_SECONDS.
QUIET_SECONDS = 0.2
MAX_HOLD_SECONDS = 1.0
# The engine stores a long line in pieces, and returns a time before each of them.
_PIECE_BYTES = 1 << 14
_PIECE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
# Compose's line with --timestamps: the container, the time in UTC, the text.
_TIMED_LINE = re.compile(r"([^|]*\| )(\d{4}-\d\d-\d\dT[\d:.]+)Z ?(.*)", re.DOTALL)


def follow_logs(engine: Engine, service: str | None, *, follow: bool, lines: int) -> Iterator[str]:
    """Yield the lines of the stack's log in order of time.

    Args:
        engine: the engine with the stack.
        service: only the log of this service.
        follow: continue with new lines until interrupted, sorted within a moment.
        lines: number of old lines of each container's log to begin with.
    """
    options = ("--timestamps", "--tail", str(lines), *(("--follow",) if follow else ()))
    services = (service,) if service else ()
    entries = engine.stream_compose(
        "reading the stack's log",
        *("logs", *options, *services),
        idle_seconds=QUIET_SECONDS if follow else None,
    )
    yield from sort_by_time(entries, MAX_HOLD_SECONDS if follow else float("inf"))


def sort_by_time(entries: Iterable[str | None], max_hold: float) -> Iterator[str]:
    """Yield lines of `docker compose logs --timestamps` in order of time, without their times.

    Args:
        entries: the lines; None whenever no line came for a while.
        max_hold: how many seconds a line is held back for an earlier one.
    """
    batch: list[tuple[str, str]] = []
    moment = ""  # of the last line: a line of Compose itself has none
    started = time.monotonic()
    for entry in entries:
        if entry is not None:
            if not batch:
                started = time.monotonic()
            text = strip_escapes(entry)
            if match := _TIMED_LINE.fullmatch(text):
                prefix, moment, text = match.groups()
                if len(text.encode()) > _PIECE_BYTES:
                    text = _PIECE_TIME.sub("", text)
                text = (prefix + text).rstrip()
            batch.append((moment, text))
        if entry is None or time.monotonic() - started > max_hold:
            yield from _sorted_texts(batch)
            batch = []
    yield from _sorted_texts(batch)


def _sorted_texts(batch: list[tuple[str, str]]) -> list[str]:
    return [text for _, text in sorted(batch, key=lambda line: line[0])]


def save_logs(contract: Contract, engine: Engine) -> list[Path]:
    """Write the log of each container of the stack to a file, and return the files."""
    files = []
    for container in engine.containers():
        name = container["Name"].lstrip("/")
        project = container["Config"]["Labels"]["com.docker.compose.project"]
        folder = contract.root / LOGS_FOLDER / project
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{name}.log"
        lines = engine.container_log(name, MAX_LOG_LINES)
        path.write_text("".join(f"{line}\n" for line in lines))
        files.append(path)
    return files
