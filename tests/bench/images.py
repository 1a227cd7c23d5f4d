"""Sizes of the images, and start and memory of the API, beside the usual ways to build it."""

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
VENV, FAT = "virtual environment copied onto the slim base", "one stage, pip as root"
STARTS = 9
START_SECONDS, POLL_SECONDS = 30, 0.01
# Most megabytes of all layers, and of the same by gzip -6
MAX_MEGABYTES = {"api": (56, 19), "worker": (130, 46), "cache": (19, 8)}
MAX_MEGABYTES_OF_ALL = 60
MAX_START_RATIO = 0.65
CONTENT = "interpreter or server, its libraries, and the service's code"


def rows(copy: Copy) -> Iterator[Row]:
    """Measure everything, in about two minutes."""
    copy.inv("build")
    ours = {name: f"{copy.name}/{name}:local" for name in MAX_MEGABYTES}
    usual = {target: f"{copy.name}/usual:{target}" for target in ("venv", "fat")}
    for target, tag in usual.items():
        copy.build(USUAL, target, tag)
    yield from _sizes(ours, usual)
    yield from _starts(ours["api"], usual)


def _sizes(ours: Mapping[str, str], usual: Mapping[str, str]) -> Iterator[Row]:
    layers = {tag: _layers(tag) for tag in (*ours.values(), *usual.values())}
    for name, tag in ours.items():
        peer = VENV if name == "api" else ""
        for index, measure in enumerate(("all layers", "all layers, gzip -6")):
            limit = MAX_MEGABYTES[name][index]
            size = _megabytes(layers[tag], index)
            theirs = (_megabytes(layers[usual["venv"]], index),) if peer else ()
            yield Row(
                "images", f"{name}, {measure}", "MB", (size,), peer, theirs,
                f"at most {limit} MB", size <= limit, CONTENT,
            )  # fmt: skip
    shared = {digest: sizes for tag in ours.values() for digest, sizes in layers[tag].items()}
    size = _megabytes(shared, 1)
    yield Row(
        "images", "all three images, shared layers once, gzip -6", "MB", (size,), "", (),
        f"at most {MAX_MEGABYTES_OF_ALL} MB", size <= MAX_MEGABYTES_OF_ALL, CONTENT,
    )  # fmt: skip


def _megabytes(layers: Mapping[str, tuple[int, int]], index: int) -> float:
    return round(sum(sizes[index] for sizes in layers.values()) / 1e6, 1)


def _layers(tag: str) -> dict[str, tuple[int, int]]:
    """Return the bytes of each layer, uncompressed and by gzip -6, by its digest."""
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
    """Measure the seconds from `docker run` to the first 200 of /health, and the memory then."""
    memory: dict[str, list[float]] = {tag: [] for tag in (ours, *usual.values())}
    own, venv, fat = in_turns(STARTS, *(lambda tag=tag: _start(tag, memory) for tag in memory))
    case = "from docker run to the first 200 of /health"
    bound = "the engine's start of a container, and Python's imports"
    target = f"at most {MAX_START_RATIO:g} times"
    reached = median(own) <= MAX_START_RATIO * median(venv)
    yield Row("images", case, "s", tuple(own), VENV, tuple(venv), target, reached, bound)
    reached = median(own) <= median(fat)
    yield Row("images", case, "s", tuple(own), FAT, tuple(fat), "no slower", reached, bound)
    own_memory, venv_memory, _ = (tuple(values) for values in memory.values())
    yield Row(
        "images", "memory of the API after the first 200", "MB", own_memory, VENV, venv_memory,
        "", True, "Python and its imported modules",
    )  # fmt: skip


def _start(tag: str, memory: Mapping[str, list[float]]) -> float:
    """Return the seconds until the container answers; add its memory to `memory`."""
    name = f"upgrade-gate-bench-{secrets.token_hex(4)}"
    start = time.monotonic()
    docker("run", "--detach", "--rm", "--name", name, "--publish=127.0.0.1::8000", tag)
    try:
        address = f"http://{docker('port', name, '8000').splitlines()[0]}/health"
        while not _is_healthy(address):
            assert time.monotonic() < start + START_SECONDS, f"{tag} did not answer"
            time.sleep(POLL_SECONDS)
        seconds = round(time.monotonic() - start, 3)
        memory[tag].append(resident_megabytes(name))
    finally:
        docker("kill", name)
    return seconds


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def resident_megabytes(container: str) -> float:
    """Return the resident memory of all processes of a container, in megabytes."""
    lines = docker("top", container, "-o", "pid,rss").splitlines()[1:]
    return round(sum(int(line.split()[1]) for line in lines) * 1024 / 1e6, 1)
