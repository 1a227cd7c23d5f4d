"""What the images weigh and how soon the API answers, beside the usual ways to make one."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.copy import Copy
from tests.bench.row import Row, in_turns, median
from tests.support.commands import docker

USUAL = Path(__file__).parent / "Dockerfile.usual"
VENV, FAT = "dependencies copied onto the slim base", "one stage, pip as root"
STARTS = 9
START_SECONDS, POLL_SECONDS = 30, 0.01
# Issue 5's aims: megabytes of all layers, and of the same by gzip -6
AIMS = {"api": (56, 19), "worker": (130, 46), "cache": (35, 13)}
AIM_OF_ALL = 60
SHIPS = "what runs: interpreter, libraries, sources and their bytecode"


def rows(copy: Copy) -> Iterator[Row]:
    """All rows; takes about two minutes."""
    copy.inv("build")
    ours = {name: f"{copy.name}/{name}:local" for name in AIMS}
    usual = {target: f"{copy.name}/usual:{target}" for target in ("venv", "fat")}
    for target, tag in usual.items():
        copy.build(USUAL, target, tag)
    yield from _sizes(ours, usual)
    yield from _starts(ours["api"], usual)


def _sizes(ours: Mapping[str, str], usual: Mapping[str, str]) -> Iterator[Row]:
    layers = {tag: _layers(tag) for tag in (*ours.values(), *usual.values())}
    for name, tag in ours.items():
        peer = VENV if name == "api" else ""
        for index, what in enumerate(("all layers", "all layers, gzip -6")):
            aim = AIMS[name][index]
            own = _megabytes(layers[tag], index)
            theirs = (_megabytes(layers[usual["venv"]], index),) if peer else ()
            yield Row(
                "images", f"{name}, {what}", "MB", (own,), peer, theirs,
                f"at most {aim}", own <= aim, SHIPS,
            )  # fmt: skip
    shared = {digest: sizes for tag in ours.values() for digest, sizes in layers[tag].items()}
    own = _megabytes(shared, 1)
    yield Row(
        "images", "all three, shared layers once, gzip -6", "MB", (own,), "", (),
        f"at most {AIM_OF_ALL}", own <= AIM_OF_ALL, SHIPS,
    )  # fmt: skip


def _megabytes(layers: Mapping[str, tuple[int, int]], index: int) -> float:
    return round(sum(sizes[index] for sizes in layers.values()) / 1e6, 1)


def _layers(tag: str) -> dict[str, tuple[int, int]]:
    """Bytes of each layer by its digest, and of the same by gzip -6."""
    saved = subprocess.run(["docker", "save", tag], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        (manifest,) = json.loads(_read(archive, "manifest.json"))
        diff_ids = json.loads(_read(archive, manifest["Config"]))["rootfs"]["diff_ids"]
        blobs = [_read(archive, layer) for layer in manifest["Layers"]]
    pairs = zip(diff_ids, blobs, strict=True)
    return {digest: (len(blob), len(gzip.compress(blob, 6))) for digest, blob in pairs}


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _starts(ours: str, usual: Mapping[str, str]) -> Iterator[Row]:
    """From `docker run` to the first 200 of /health, and what the process holds then."""
    memory: dict[str, list[float]] = {tag: [] for tag in (ours, *usual.values())}
    own, venv, fat = in_turns(STARTS, *(lambda tag=tag: _start(tag, memory) for tag in memory))
    limit = "the engine's start of a container; Python's imports"
    holds = median(own) <= 0.65 * median(venv)
    what = "docker run to the first 200 of /health"
    yield Row(
        "images", what, "s", tuple(own), VENV, tuple(venv), "at most 0.65 of it", holds, limit
    )
    holds = median(own) <= median(fat)
    yield Row("images", what, "s", tuple(own), FAT, tuple(fat), "no slower", holds, limit)
    held = [tuple(values) for values in memory.values()]
    yield Row(
        "images", "memory of the API when it answers", "MB", held[0], VENV, held[1], "", True,
        "Python, and the modules that it imports",
    )  # fmt: skip


def _start(tag: str, memory: Mapping[str, list[float]]) -> float:
    """Seconds until it answers; what comes after is not counted."""
    name = f"upgrade-gate-bench-{secrets.token_hex(4)}"
    begun = time.monotonic()
    docker("run", "--detach", "--rm", "--name", name, "--publish=127.0.0.1::8000", tag)
    try:
        address = f"http://{docker('port', name, '8000').splitlines()[0]}/health"
        while not _answers(address):
            assert time.monotonic() < begun + START_SECONDS, f"{tag} does not answer"
            time.sleep(POLL_SECONDS)
        taken = round(time.monotonic() - begun, 3)
        memory[tag].append(resident(name))
    finally:
        docker("kill", name)
    return taken


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def resident(container: str) -> float:
    """Megabytes that the processes of a container hold, as `ps` tells them."""
    lines = docker("top", container, "-o", "pid,rss").splitlines()[1:]
    return round(sum(int(line.split()[1]) for line in lines) * 1024 / 1e6, 1)
