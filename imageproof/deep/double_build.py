"""The double build: two builds without cache, with a canary added to each build secret.

Both builds must give the same layers, and no canary may appear in an image or in the build cache.
The images get tags of their own and are removed afterwards.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import base_image
from imageproof.build.bake import bake
from imageproof.build.progress import BuildLog
from imageproof.build.variables import build_variables
from imageproof.deep import canary
from imageproof.deep.byte_scan import Scan, differing_paths, scan
from imageproof.docker.errors import translating
from imageproof.errors import ImageDamaged, ImageproofError
from imageproof.image.config import clean_instruction
from imageproof.image.stream import read_chunks

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.deep.canary import CanarySearch
    from imageproof.docker.client import Engine

SEARCHED = ("layers", "configuration")
CACHE = "build cache"


@dataclass(frozen=True)
class Difference:
    """A layer that differs between the two builds."""

    instruction: str
    paths: tuple[str, ...]  # empty: the same files in another order


@dataclass(frozen=True)
class Leak:
    """A build secret that was found in an image or in the build cache."""

    secret: str  # its id in the compose file
    place: str  # "layer", "configuration", "build cache"
    form: str  # "plain", "base64", "hex"
    file: str = ""
    instruction: str = ""


@dataclass(frozen=True)
class BuildFacts:
    """Results of both builds of one image."""

    unknown: str = ""  # why nothing was built or compared
    layers: int = 0
    differences: tuple[Difference, ...] = ()
    secrets: tuple[str, ...] = ()  # ids of the build secrets
    leaks: tuple[Leak, ...] = ()
    searched: tuple[str, ...] = ()  # "layers", "configuration", "build cache"


def build_twice(contract: Contract, engine: Engine, names: Sequence[str]) -> dict[str, BuildFacts]:
    """Build images of the contract twice; compare the layers and search for the canaries.

    Takes minutes.
    """
    console.step("build twice without cache")
    prefix = f"imageproof-rebuild-{secrets.token_hex(4)}"
    builds = [{name: f"{prefix}/{name}:{number}" for name in names} for number in (1, 2)]
    try:
        with tempfile.TemporaryDirectory(prefix="imageproof-rebuild-") as folder:
            cache = Path(folder, "cache") if can_export_cache(engine) else None
            canaries = _build(contract, engine, Path(folder), builds, cache)
            search = canary.CanarySearch(canaries)
            cache_leaks: dict[str, list[Leak]] = {}
            if cache:
                cache_leaks = {name: _search_cache(cache / name, search) for name in names}
        return {
            name: _compare(engine, [tags[name] for tags in builds], search, cache_leaks.get(name))
            for name in names
        }
    except ImageproofError as error:
        facts = BuildFacts(unknown=" ".join((str(error), *error.tail[-1:])))
        return dict.fromkeys(names, facts)
    finally:
        for tag in (tag for tags in builds for tag in tags.values()):
            if engine.image(tag):
                with contextlib.suppress(ImageproofError), translating(f"removing {tag}"):
                    engine.whales.image.remove(tag, force=True)


def can_export_cache(engine: Engine) -> bool:
    """Return whether the current builder can export its cache.

    The engine's own builder needs containerd's image store for that
    (https://docs.docker.com/build/cache/backends/).
    """
    with translating("inspecting the builder"):
        if engine.whales.buildx.inspect().driver != "docker":
            return True
        status = engine.whales.info().driver_status or []
    return any("containerd.snapshotter" in value for pair in status for value in pair)


def _build(
    contract: Contract,
    engine: Engine,
    folder: Path,
    builds: Sequence[Mapping[str, str]],
    cache: Path | None,
) -> dict[str, str]:
    """Build the images several times.

    Args:
        contract: The project.
        engine: The engine that builds.
        folder: An empty folder, for files with canaries.
        builds: For each build the tags of the images, by name.
        cache: Folder to export the build cache of each image to.

    Returns:
        The canaries by the id of the build secret.
    """
    base = base_image.resolve(contract, engine)
    variables = build_variables(contract, base)
    canary_engine, canaries = _with_secret_canaries(contract, engine, folder, variables)
    for tags in builds:
        services = {name: contract.images[name].service for name in tags}
        settings = [f"{services[name]}.tags={tag}" for name, tag in tags.items()]
        if cache:  # mode=max: intermediate stages too
            settings += [
                f"{service}.cache-to=type=local,mode=max,dest={cache / name}"
                for name, service in services.items()
            ]
        options = ["--no-cache", "--load"]
        options += [word for setting in settings for word in ("--set", setting)]
        bake(
            contract,
            canary_engine,
            services=list(services.values()),
            base=base,
            log=BuildLog(),
            options=options,
        )
    return canaries


def _with_secret_canaries(
    contract: Contract, engine: Engine, folder: Path, variables: Mapping[str, str]
) -> tuple[Engine, dict[str, str]]:
    """Return an engine that builds with a canary in each build secret, and the canaries by id."""
    original = replace(engine, compose_files=(contract.compose_file,), variables=variables)
    model = original.compose_model(interpolate=True)
    secret_ids = {
        secret["source"]
        for service in model["services"].values()
        for secret in (service.get("build") or {}).get("secrets") or ()
    }
    canaries = {id_: canary.make() for id_ in sorted(secret_ids)}
    files: dict[str, dict[str, str]] = {}
    environment: dict[str, str] = {}
    for id_, value in canaries.items():
        source = model["secrets"][id_]
        if "file" in source:
            copy = folder / f"secret-{id_}"
            _copy_with_canary(Path(source["file"]), copy, value)
            files[id_] = {"file": str(copy)}
        elif "environment" in source:
            environment[source["environment"]] = value
    overlay = folder / "canaries.yaml"
    overlay.write_text(json.dumps({"secrets": files}).replace("$", "$$"))
    files_of_build = (contract.compose_file, overlay)
    own_variables = {**engine.variables, **environment}
    return replace(engine, compose_files=files_of_build, variables=own_variables), canaries


def _copy_with_canary(secret: Path, copy: Path, value: str) -> None:
    """Copy a secret file, with the canary as a comment at the end.

    Most formats accept that: configuration files and certificates stay valid, so the build still
    works.
    """
    content = secret.read_bytes() if secret.is_file() else b""
    copy.touch(mode=0o600)
    copy.write_bytes(content + f"\n# {value}\n".encode())


def _search_cache(folder: Path, search: CanarySearch) -> list[Leak]:
    matches: set[tuple[str, str]] = set()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as blob:
                matches |= search.find_in_file(read_chunks(blob))
    return [Leak(secret, CACHE, form) for secret, form in sorted(matches)]


def _compare(
    engine: Engine, tags: Sequence[str], search: CanarySearch, cache_leaks: list[Leak] | None
) -> BuildFacts:
    """Compare two builds of an image. `cache_leaks` is None if no cache was exported."""
    diff_ids = [image["RootFS"]["Layers"] for image in engine.inspect("image", tags)]
    if len(diff_ids[0]) != len(diff_ids[1]):
        counts = f"{len(diff_ids[0])} and {len(diff_ids[1])}"
        return BuildFacts(unknown=f"the two builds have {counts} layers")
    first = _scan(engine, tags[0], search)
    differences: tuple[Difference, ...] = ()
    if diff_ids[0] != diff_ids[1]:
        second = _scan(engine, tags[1], search)
        differences = tuple(
            Difference(clean_instruction(layer.instruction), differing_paths(layer, other))
            for layer, other, diff_id, other_diff_id in zip(
                first.layers, second.layers, *diff_ids, strict=True
            )
            if diff_id != other_diff_id
        )
    return BuildFacts(
        layers=len(diff_ids[0]),
        differences=differences,
        secrets=search.names,
        leaks=(*_image_leaks(first), *(cache_leaks or ())),
        searched=SEARCHED if cache_leaks is None else (*SEARCHED, CACHE),
    )


def _scan(engine: Engine, tag: str, search: CanarySearch) -> Scan:
    try:
        return scan(engine.save([tag]), search)
    except (KeyError, ValueError) as error:
        raise ImageDamaged(
            f"reading {tag}",
            f"the engine saved an invalid image: {error}",
            hint="`./inv build --no-cache` builds the image again",
        ) from error


def _image_leaks(scanned: Scan) -> Iterator[Leak]:
    for name, form in sorted(scanned.configuration):
        yield Leak(name, "configuration", form)
    for layer in scanned.layers:
        for path, matches in sorted(layer.matches.items()):
            for name, form in sorted(matches):
                yield Leak(
                    name,
                    "layer",
                    form,
                    file=path.removeprefix("./"),
                    instruction=clean_instruction(layer.instruction),
                )
