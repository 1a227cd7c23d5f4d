"""Durations of `./inv verify` and of its peers on the same images, in turns."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof import contract
from imageproof.docker.client import Engine
from imageproof.docker.image_tags import image_tags
from imageproof.user_cache import remove_folder
from tests.defects.corpus import ROOT, TAG, WORK, Project
from tests.defects.reading import started
from tests.peers.tools import Kit, Subject, Tool, run

REPEATS = 3
# The tools that together come closest to `verify`.
TOGETHER = ("dive", "container-structure-test", "goss", "compose-lint")
LARGE = f"{TAG}/web:large"
LARGE_FILES, LARGE_FILE_BYTES = 400, 5_000_000  # two gigabytes
Action = Callable[[], object]


@dataclass(frozen=True)
class Images:
    """Two images of a project, and their running containers, if any."""

    root: Path
    tags: tuple[str, ...]
    containers: tuple[str, ...] = ()

    def verify(self, *options: str) -> None:
        """Run `verify` as a user does, in a process of its own; findings are not an error."""
        _verify(self.root, *options)

    def verify_cold(self) -> None:
        """Run `verify --static` without cached facts."""
        remove_folder(self.root)
        _verify(self.root, "--static")


def speed(kit: Kit, tools: Sequence[Tool], good: Project) -> dict[str, Any]:
    """Return the durations in seconds: medians of three runs, in turns."""
    dive = [tool for tool in tools if tool.name == "dive"]
    together = [tool for tool in tools if tool.name in TOGETHER]
    with started(good) as engine:
        names = [engine.containers([name])[0]["Name"].lstrip("/") for name in ("web", "job")]
        pair = Images(good.root, (good.reference, f"{TAG}/job:good"), tuple(names))
        each = {tool.name: _medians(_action(kit, tool, good, pair, 0))[0] for tool in tools}
        running = _medians(pair.verify)[0]
        pairs = [_against(kit, together, good, "the corpus' good project", pair)]
    pairs.append(_against(kit, dive, good, "the same two images", pair))
    if own := _own_images():
        pairs.append(_against(kit, dive, good, "the images of this repository", own))
    with _large(good) as large:
        pairs.append(_against(kit, dive, good, "two images, one of 2 GB", large))
        peak = _peak(large)
    return {
        "each": each,
        "running stack": running,
        "unchanged images": _medians(lambda: pair.verify("--static"))[0],
        "interpreter": _medians(lambda: run(sys.executable, "-c", ""))[0],
        "peak MB, 2 GB image": peak,
        "pairs": pairs,
    }


def _action(kit: Kit, tool: Tool, project: Project, images: Images, number: int) -> Action:
    container = images.containers[number] if images.containers else ""
    subject = Subject(kit, project, container, images.tags[number])
    return lambda: tool.complaints(subject)


def _against(
    kit: Kit, tools: Sequence[Tool], project: Project, title: str, images: Images
) -> dict[str, Any]:
    """Measure `verify` against all tools, each run on both images or services."""
    actions = [
        _action(kit, tool, project, images, number)
        for tool in tools
        for number in ((0,) if tool.input == "compose" else (0, 1))
    ]
    ours, theirs = _medians(images.verify_cold, lambda: [action() for action in actions])
    return {"what": title, "peers": [tool.name for tool in tools], "ours": ours, "theirs": theirs}


def _own_images() -> Images | None:
    """Return this repository's images, if they are built."""
    project = contract.load(ROOT)
    tags = tuple(image_tags(project, Engine((project.compose_file,))).values())
    ids = run("docker", "image", "ls", "--quiet", *(f"--filter=reference={tag}" for tag in tags))
    return Images(ROOT, tags) if len(ids.split()) == len(tags) else None


@contextlib.contextmanager
def _large(good: Project) -> Iterator[Images]:
    """Copy the good project, with an image of two gigabytes in place of its first one."""
    root = WORK / "large"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(good.root, root)
    model = json.loads((root / "compose.yaml").read_text())
    model["services"]["web"]["image"] = LARGE
    (root / "compose.yaml").write_text(json.dumps(model))
    try:
        _import_large()
        yield Images(root, (LARGE, f"{TAG}/job:good"))
    finally:
        run("docker", "image", "rm", "--force", LARGE)
        shutil.rmtree(root)


def _import_large() -> None:
    """Import one layer of random files through a pipe, because a build would fill the cache."""
    noise = random.Random(0)  # the same bytes in each run
    command = ["docker", "import", "-", LARGE]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process,
        tarfile.open(fileobj=process.stdin, mode="w|") as archive,
    ):
        for number in range(LARGE_FILES):
            member = tarfile.TarInfo(f"data/{number}.bin")
            member.size = LARGE_FILE_BYTES
            archive.addfile(member, io.BytesIO(noise.randbytes(LARGE_FILE_BYTES)))


def _peak(images: Images) -> int:
    """Return the peak memory of `verify --static` without cached facts, in megabytes."""
    remove_folder(images.root)
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, str(ROOT / "tasks.py"), "verify", "--static"],
        {**os.environ, "IMAGEPROOF_ROOT": str(images.root)},
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)],
    )
    return int(os.wait4(process, 0)[2].ru_maxrss * 1024 / 1e6)


def _verify(root: Path, *options: str) -> None:
    command = [sys.executable, str(ROOT / "tasks.py"), "verify", *options]
    environment = {**os.environ, "IMAGEPROOF_ROOT": str(root)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode in (0, 1), result.stderr  # 1: findings


def _medians(*actions: Action) -> list[float]:
    """Run the actions in turns; return the median seconds of each."""
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(REPEATS):
        for action, times in zip(actions, seconds, strict=True):
            start = time.monotonic()
            action()
            times.append(time.monotonic() - start)
    return [round(statistics.median(times), 2) for times in seconds]
