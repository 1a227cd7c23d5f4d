"""Durations of `./inv build`, `up` and `--list`, beside plain Docker."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.copy import Copy
from tests.bench.row import Row, in_turns, median

# Repetitions: of builds without a cache, of changes, and of what is quick.
COLD_RUNS, CHANGE_RUNS, WARM_RUNS = 3, 5, 9
POLL_SECONDS = 0.1  # each inspection of a container takes 0.02 s of a processor
MAX_BUILD_OVERHEAD, MAX_UP_OVERHEAD = 0.4, 1.0  # seconds more than plain Docker
MAX_LIST_SECONDS, MAX_WATCH_SECONDS = 0.35, 3.0
BAKE, ONE_BY_ONE = "docker buildx bake", "docker build for each image"
COMPOSE_UP = "docker compose up -d --wait"
CODE, DEPENDENCIES = "app/v1.py", "locks/api.txt"


def rows(copy: Copy) -> Iterator[Row]:
    """Measure everything, in about ten minutes; cold builds take nearly all of it."""
    copy.inv("build")  # makes the base image and fills the build cache
    yield from _warm(copy)
    yield from _changed(copy)
    yield from _up(copy)
    yield _list(copy)
    yield from _cold(copy)


def _warm(copy: Copy) -> Iterator[Row]:
    ours, bake, each = in_turns(WARM_RUNS, lambda: copy.inv("build"), copy.bake, copy.one_by_one)
    case, bound = "build, nothing changed", "BuildKit and the start of its client"
    reached = median(ours) <= median(bake) + MAX_BUILD_OVERHEAD
    target = f"at most {MAX_BUILD_OVERHEAD:g} s more"
    yield _row(case, ours, BAKE, bake, target, reached, bound)
    yield _row(case, ours, ONE_BY_ONE, each, "", True, bound)


def _changed(copy: Copy) -> Iterator[Row]:
    for change, file, repeats, bound in (
        ("one line of the API", CODE, CHANGE_RUNS, "copying, checking and exporting the new layer"),
        ("one line of the API's lock file", DEPENDENCIES, COLD_RUNS, "pip"),
    ):
        ours, bake, each = in_turns(
            repeats,
            lambda: copy.inv("build"),
            copy.bake,
            copy.one_by_one,
            prepare=lambda file=file: copy.change(file),
        )
        yield _row(f"build after a change of {change}", ours, BAKE, bake, "", True, bound)
        yield _row(f"build after a change of {change}", ours, ONE_BY_ONE, each, "", True, bound)


def _up(copy: Copy) -> Iterator[Row]:
    copy.inv("up")
    ours, compose = in_turns(
        WARM_RUNS, lambda: copy.inv("up"), lambda: copy.compose("up", "--detach", "--wait")
    )
    yield _row(
        "up, nothing changed", ours, COMPOSE_UP, compose,
        f"at most {MAX_UP_OVERHEAD:g} s more", median(ours) <= median(compose) + MAX_UP_OVERHEAD,
        "the build's client, and Compose's comparison of the stack",
    )  # fmt: skip
    seconds = [_until_healthy(copy) for _ in range(CHANGE_RUNS)]
    yield _row(
        "from a change of code to healthy containers, with `./inv up`", seconds, "", [], "", True,
        "the build, `verify --static`, and the engine's replacement of a container",
    )  # fmt: skip
    seconds = list(_watched(copy))
    yield _row(
        "from a change of code to a healthy container, with `./inv watch`", seconds, "", [],
        f"under {MAX_WATCH_SECONDS:g} s", median(seconds) < MAX_WATCH_SECONDS,
        "0.3 s without a change, the build, and the engine's replacement of a container",
    )  # fmt: skip
    copy.compose("down", "--volumes")


def _watched(copy: Copy) -> Iterator[float]:
    """Yield the seconds from a change of a file to a new, healthy container of the API."""
    with subprocess.Popen(
        ["./inv", "watch"], cwd=copy.root, env=copy.variables, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            # The first change may come before `watch` begins, and is then part of its first build.
            while _replaced(copy, 5) is None:
                assert process.poll() is None, "`./inv watch` ended"
            for _ in range(CHANGE_RUNS):
                seconds = _replaced(copy, 60)
                assert seconds is not None, "a change did not reach the container"
                yield seconds
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _replaced(copy: Copy, max_seconds: float) -> float | None:
    """Change the code; return the seconds to a new, healthy container, or None if none comes."""
    before = _api(copy)
    copy.change(CODE)
    start = time.monotonic()
    while time.monotonic() < start + max_seconds:
        container = _api(copy)
        if container and container[0] != before[0] and container[1] == "healthy":
            return round(time.monotonic() - start, 3)
        time.sleep(POLL_SECONDS)
    return None


def _api(copy: Copy) -> list[str]:
    """Return the id and health of the API's container; nothing while it is replaced."""
    fields = "{{.Id}} {{.State.Health.Status}}"
    name = f"{copy.name}-api-1"
    try:
        return copy.run("docker", "container", "inspect", "--format", fields, name).split()
    except AssertionError:
        return []


def _until_healthy(copy: Copy) -> float:
    """Return the seconds from a change until `./inv up` reports that all are healthy."""
    copy.change(CODE)
    start = time.monotonic()
    with subprocess.Popen(
        ["./inv", "up"], cwd=copy.root, env=copy.variables, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        messages = ""
        seconds = None
        for line in process.stderr:
            messages += line
            if line.startswith("✓ up:"):  # a verification of the running stack follows
                seconds = time.monotonic() - start
    assert process.returncode == 0, messages
    assert seconds is not None, messages
    return round(seconds, 3)


def _list(copy: Copy) -> Row:
    ours, python = in_turns(
        WARM_RUNS, lambda: copy.inv("--list"), lambda: copy.run(sys.executable, "-c", "")
    )
    return _row(
        "./inv --list", ours, "python -c ''", python, f"under {MAX_LIST_SECONDS:g} s",
        median(ours) < MAX_LIST_SECONDS, "the start of Python, and Invoke's imports",
    )  # fmt: skip


def _cold(copy: Copy) -> Iterator[Row]:
    ours, bake, each = in_turns(
        COLD_RUNS,
        lambda: copy.inv("build", "--no-cache"),
        lambda: copy.bake("--no-cache"),
        lambda: copy.one_by_one("--no-cache"),
    )
    bound = "apt, pip and npm, and the closure script's reading of every ELF file"
    yield _row("build without a cache", ours, BAKE, bake, "", True, bound)
    reached = median(ours) < median(each)
    yield _row("build without a cache", ours, ONE_BY_ONE, each, "less", reached, bound)


def _row(
    case: str,
    ours: list[float],
    peer: str,
    theirs: list[float],
    target: str,
    reached: bool,
    bound: str,
) -> Row:
    return Row("commands", case, "s", tuple(ours), peer, tuple(theirs), target, reached, bound)
