"""What the line costs on top of Docker: builds, `up`, and the start of `./inv` itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.copy import Copy
from tests.bench.row import Row, in_turns, median

COLD, CHANGES, OFTEN = 3, 5, 9
LOOK_SECONDS = 0.1  # between two looks at a container: each takes a processor for some 0.02 s
BAKE, ONE_BY_ONE = "docker buildx bake", "docker build, one after the other"
CODE, DEPENDENCIES = "app/v1.py", "locks/api.txt"
SOLVE = "BuildKit's own work and its client's start: what plain bake takes"


def rows(copy: Copy) -> Iterator[Row]:
    """All rows; takes about ten minutes, nearly all of it cold builds."""
    copy.inv("build")  # the base image, and a cache that is warm
    yield from _warm(copy)
    yield from _changed(copy)
    yield from _up(copy)
    yield _list(copy)
    yield from _cold(copy)


def _warm(copy: Copy) -> Iterator[Row]:
    ours, bake, each = in_turns(OFTEN, lambda: copy.inv("build"), copy.bake, copy.one_by_one)
    holds = median(ours) <= 1.15 * median(bake) and median(ours) < 1
    yield _row("warm build", ours, BAKE, bake, "at most 1.15 of it, under 1 s", holds, SOLVE)
    yield _row("warm build", ours, ONE_BY_ONE, each, "", True, SOLVE)


def _changed(copy: Copy) -> Iterator[Row]:
    for what, file, repeats, limit in (
        (
            "one line of the API",
            CODE,
            5,
            "copy, check and export; beside bake: the imports, and reading what is new",
        ),
        ("one line of its lock file", DEPENDENCIES, COLD, "pip installs what the lock names"),
    ):
        ours, bake, each = in_turns(
            repeats,
            lambda: copy.inv("build"),
            copy.bake,
            copy.one_by_one,
            prepare=lambda file=file: copy.change(file),
        )
        yield _row(f"build after a change of {what}", ours, BAKE, bake, "", True, limit)
        yield _row(f"build after a change of {what}", ours, ONE_BY_ONE, each, "", True, limit)


def _up(copy: Copy) -> Iterator[Row]:
    copy.inv("up")
    ours, compose = in_turns(
        OFTEN, lambda: copy.inv("up"), lambda: copy.compose("up", "--detach", "--wait")
    )
    yield _row(
        "up with nothing changed, lint and verify included",
        ours, "docker compose up -d --wait", compose, "at most 1.1 of it and 1 s",
        median(ours) <= 1.1 * median(compose) + 1,
        "Compose's own look at the stack; a poll of its health",
    )  # fmt: skip
    taken = [_until_healthy(copy) for _ in range(CHANGES)]
    yield _row(
        "change of code to healthy containers, by `./inv up`", taken, "", [], "", True,
        "lint beside the build; static verify; the engine's replacement of a container",
    )  # fmt: skip
    taken = list(_watched(copy))
    yield _row(
        "change of code to a healthy container, by `./inv watch`", taken, "", [], "under 3 s",
        median(taken) < 3, "Compose waits half a second; the build; the engine's replacement",
    )  # fmt: skip
    copy.compose("down", "--volumes")


def _watched(copy: Copy) -> Iterator[float]:
    """Seconds from a change of a file to another container of the API that is healthy."""
    with subprocess.Popen(
        ["./inv", "watch"], cwd=copy.root, env=copy.variables, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            # The first ones tell when the watcher looks: a change before that is not noticed.
            while _replaced(copy, 5) is None:
                assert process.poll() is None, "watch ended"
            for _ in range(CHANGES):
                taken = _replaced(copy, 60)
                assert taken is not None, "a change did not arrive"
                yield taken
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _replaced(copy: Copy, within: float) -> float | None:
    """Change the code, and wait for what comes of it; None where nothing does in time."""
    before = _api(copy)
    copy.change(CODE)
    begun = time.monotonic()
    while time.monotonic() < begun + within:
        found = _api(copy)
        if found and found[0] != before[0] and found[1] == "healthy":
            return round(time.monotonic() - begun, 3)
        time.sleep(LOOK_SECONDS)
    return None


def _api(copy: Copy) -> list[str]:
    """The container of the API and its health; nothing between two of them."""
    shown = "{{.Id}} {{.State.Health.Status}}"
    name = f"{copy.name}-api-1"
    try:
        return copy.run("docker", "container", "inspect", "--format", shown, name).split()
    except AssertionError:
        return []


def _until_healthy(copy: Copy) -> float:
    """Seconds from a change until `./inv up` says that all are healthy; it goes on to verify."""
    copy.change(CODE)
    begun = time.monotonic()
    with subprocess.Popen(
        ["./inv", "up"], cwd=copy.root, env=copy.variables, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        seen = ""
        healthy = None
        for line in process.stderr:
            seen += line
            if line.startswith("✓ up:"):
                healthy = time.monotonic() - begun
    assert process.returncode == 0, seen
    assert healthy is not None, seen
    return round(healthy, 3)


def _list(copy: Copy) -> Row:
    ours, python = in_turns(
        OFTEN, lambda: copy.inv("--list"), lambda: copy.run(sys.executable, "-c", "")
    )
    return _row(
        "./inv --list", ours, "python -c ''", python, "under 0.35 s", median(ours) < 0.35,
        "the interpreter's start, and Invoke's import",
    )  # fmt: skip


def _cold(copy: Copy) -> Iterator[Row]:
    ours, bake, each = in_turns(
        COLD,
        lambda: copy.inv("build", "--no-cache"),
        lambda: copy.bake("--no-cache"),
        lambda: copy.one_by_one("--no-cache"),
    )
    limit = "apt, pip and npm, and the closure's walk over every ELF file"
    yield _row("cold build of all images", ours, BAKE, bake, "", True, limit)
    holds = median(ours) < median(each)
    yield _row("cold build of all images", ours, ONE_BY_ONE, each, "less", holds, limit)


def _row(
    what: str,
    ours: list[float],
    peer: str,
    theirs: list[float],
    target: str,
    holds: bool,
    limit: str,
) -> Row:
    return Row("commands", what, "s", tuple(ours), peer, tuple(theirs), target, holds, limit)
