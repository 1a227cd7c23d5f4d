"""Build twice without cache, each of the build's secrets with a canary added.

The same layers must come out, and no canary in any of them. The images have names of their own
and are removed: nobody's tag is moved.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import base_image
from imageproof.build.bake import bake, build_variables
from imageproof.build.progress import BuildLog
from imageproof.deep import canary
from imageproof.deep.build_facts import BuildFacts, Difference, Leak
from imageproof.deep.byte_scan import Scan, differing, scan
from imageproof.docker.client import environment
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError, StackFailed
from imageproof.image.config import instruction
from imageproof.image.stream import chunks_of

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

SEARCHED = ("layers", "configuration")
CACHE = "build cache"


def read_builds(contract: Contract, engine: Engine, names: Sequence[str]) -> dict[str, BuildFacts]:
    """Build the images twice, compare the layers, look for the canaries. Takes minutes."""
    console.step("build twice without cache")
    run = f"imageproof-rebuild-{secrets.token_hex(4)}"
    tags = [{name: f"{run}/{name}:{number}" for name in names} for number in (1, 2)]
    try:
        with tempfile.TemporaryDirectory(prefix="imageproof-rebuild-") as folder:
            exports = Path(folder, "cache") if exports_cache(engine) else None
            canaries = _build(contract, engine, Path(folder), tags, exports)
            search = canary.Search(canaries)
            cached = {name: _cached(exports, name, search) for name in names} if exports else {}
        return {
            name: _compare(engine, [named[name] for named in tags], search, cached.get(name))
            for name in names
        }
    except ImageproofError as error:
        said = BuildFacts(unknown=" ".join((str(error), *error.tail[-1:])))
        return dict.fromkeys(names, said)
    finally:
        for tag in (tag for named in tags for tag in named.values()):
            if engine.image(tag):
                with contextlib.suppress(ImageproofError), translating(f"removing {tag}"):
                    engine.docker.image.remove(tag, force=True)


def exports_cache(engine: Engine) -> bool:
    """Whether this builder can export its cache: the engine's own can with containerd's image
    store only (https://docs.docker.com/build/cache/backends/)."""
    with translating("asking for the builder"):
        if engine.docker.buildx.inspect().driver != "docker":
            return True
        status = engine.docker.info().driver_status or []
    return any("containerd.snapshotter" in value for pair in status for value in pair)


def _build(
    contract: Contract,
    engine: Engine,
    folder: Path,
    tags: Sequence[Mapping[str, str]],
    exports: Path | None,
) -> dict[str, str]:
    """Two builds, each under its tags; returns the canary of each secret, by its id."""
    origin = base_image.resolve(contract, engine)
    with _canaries(contract, engine, folder, build_variables(contract, origin)) as (over, canaries):
        laid_over = replace(engine, compose_files=(contract.compose_file, over))
        for named in tags:
            services = {name: contract.images[name].service for name in named}
            settings = {f"{services[name]}.tags": tag for name, tag in named.items()}
            if exports:  # mode=max: what is built on the way to an image as well
                settings |= {
                    f"{service}.cache-to": f"type=local,mode=max,dest={exports / name}"
                    for name, service in services.items()
                }
            arguments = {"load": True, "cache": False, "set": settings}
            bake(contract, laid_over, list(services.values()), origin, BuildLog(), arguments)
    return canaries


@contextlib.contextmanager
def _canaries(
    contract: Contract, engine: Engine, folder: Path, variables: Mapping[str, str]
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A file to lay over the compose file, in which each secret of a build carries a canary.

    It is a comment at the end of what the secret is now, so that the build still works: so
    configuration files, certificates and most others take it.
    """
    file = replace(engine, compose_files=(contract.compose_file,), variables=variables)
    model = file.compose_model(interpolate=True)
    used = {
        secret["source"]
        for service in model["services"].values()
        for secret in (service.get("build") or {}).get("secrets") or ()
    }
    canaries = {name: canary.make() for name in sorted(used)}
    changed = {}
    given: dict[str, str] = {}
    for name, value in canaries.items():
        source = model["secrets"][name]
        if "file" in source:
            real = Path(source["file"])
            before = real.read_bytes() if real.is_file() else b""
            path = folder / f"secret-{name}"
            path.touch(mode=0o600)
            path.write_bytes(before + f"\n# {value}\n".encode())
            changed[name] = {"file": str(path)}
        elif "environment" in source:
            given[source["environment"]] = value
    over = folder / "canaries.yaml"
    over.write_text(json.dumps({"secrets": changed}).replace("$", "$$"))
    with environment(given):
        yield over, canaries


def _cached(exports: Path, name: str, search: canary.Search) -> list[Leak]:
    """What is found in the cache that was exported for an image."""
    found: set[tuple[str, str]] = set()
    for path in sorted(exports.joinpath(name).rglob("*")):
        if path.is_file():
            with path.open("rb") as blob:
                found |= search.file(chunks_of(blob))
    return [Leak(secret, CACHE, form) for secret, form in sorted(found)]


def _compare(
    engine: Engine, tags: Sequence[str], search: canary.Search, cached: list[Leak] | None
) -> BuildFacts:
    """Two builds of an image; `cached`: what its exported cache gave, None where there is none."""
    diff_ids = [inspected["RootFS"]["Layers"] for inspected in engine.inspect("image", tags)]
    if len(diff_ids[0]) != len(diff_ids[1]):
        counts = " and ".join(str(len(layers)) for layers in diff_ids)
        return BuildFacts(unknown=f"the two builds have {counts} layers")
    first = _scan(engine, tags[0], search)
    differences: tuple[Difference, ...] = ()
    if diff_ids[0] != diff_ids[1]:
        second = _scan(engine, tags[1], search)
        differences = tuple(
            Difference(instruction(one.instruction), differing(one, two))
            for one, two, ids in zip(
                first.layers, second.layers, zip(*diff_ids, strict=True), strict=True
            )
            if ids[0] != ids[1]
        )
    return BuildFacts(
        layers=len(diff_ids[0]),
        differences=differences,
        secrets=search.names,
        leaks=(*_leaks(first), *(cached or ())),
        searched=SEARCHED if cached is None else (*SEARCHED, CACHE),
    )


def _scan(engine: Engine, tag: str, search: canary.Search) -> Scan:
    try:
        return scan(engine.save([tag]), search)
    except (KeyError, ValueError) as error:
        raise StackFailed(
            f"reading {tag}", f"what the engine saved is no image: {error}"
        ) from error


def _leaks(scanned: Scan) -> Iterator[Leak]:
    for name, form in sorted(scanned.configuration):
        yield Leak(name, "configuration", form)
    for layer in scanned.layers:
        for path, found in sorted(layer.found.items()):
            for name, form in sorted(found):
                yield Leak(
                    name, "layer", form, path.removeprefix("./"), instruction(layer.instruction)
                )
