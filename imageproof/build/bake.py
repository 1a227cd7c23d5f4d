"""Build of the contract's images in one parallel graph, by `docker buildx bake`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import base_image
from imageproof.build.failure import explaining_failure
from imageproof.build.git import current_commit
from imageproof.build.options import Options, bake_options
from imageproof.build.progress import BuildLog, show_progress
from imageproof.build.variables import build_variables
from imageproof.docker.environment import env_file_variables
from imageproof.docker.image_tags import built_images, image_tags
from imageproof.errors import BuildFailed, RegistryUnavailable, UsageError

if TYPE_CHECKING:
    from imageproof.build.base_image import BaseImage
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


@dataclass(frozen=True)
class BuildResult:
    """A finished build. The images' names are those of the contract.

    Attributes:
        references: where each image is; empty if the result stays in the builder.
        base: the base image.
        seconds: duration of bake.
        steps: the number of steps of all Dockerfiles.
        cached: how many of them BuildKit had in its cache.
    """

    references: Mapping[str, str]
    base: BaseImage
    seconds: float
    steps: int
    cached: int


def build(
    contract: Contract, engine: Engine, image_name: str | None, options: Options | None = None
) -> BuildResult:
    """Build one image of the contract, or all of them.

    Raises:
        BuildFailed: an instruction failed; the error names it.
    """
    options = _with_tag(options or Options(), contract.root)
    images = contract.select(image_name)
    console.step(f"build {', '.join(images)}")

    with ThreadPoolExecutor(1) as pool:  # read the compose file while the base image is looked up
        pending = pool.submit(image_tags, contract, engine, images)
        base = _base_image(contract, engine, options)
        console.say(f"  base image: {base}")
        tags = pending.result()
    built = built_images(engine, images)
    if image_name is not None and not built:
        raise UsageError(
            f"building {image_name}",
            f"its service {images[image_name].service!r} has no `build:` section",
            hint="its image is used as it is: `docker compose pull` updates it",
        )
    started = time.monotonic()
    log = BuildLog()
    if built:
        services = {name: image.service for name, image in built.items()}
        bake(
            contract,
            engine,
            services=list(services.values()),
            base=base,
            log=log,
            options=bake_options(options, services, can_pull=base.origin != "made"),
        )
    if options.engine_gets_result:
        _pull_missing(engine, [tag for name, tag in tags.items() if name not in built])
        built = images
    references = {name: options.reference(name, tags[name]) for name in built}
    return BuildResult(
        references={name: reference for name, reference in references.items() if reference},
        base=base,
        seconds=time.monotonic() - started,
        steps=len(log.completed_steps),
        cached=sum(step.cached for step in log.completed_steps),
    )


def _base_image(contract: Contract, engine: Engine, options: Options) -> BaseImage:
    if options.builder:  # it does not see the engine's images
        return base_image.for_remote_builder(contract)
    if options.pull:
        return base_image.refresh(contract, engine)
    return base_image.resolve(contract, engine)


def _pull_missing(engine: Engine, tags: Sequence[str]) -> None:
    """Pull the images that the engine lacks, as `docker compose up` does."""
    for tag in tags:
        console.say(f"  {tag} is not built here: its service has no `build:` section")
    present = engine.images(tags) if tags else {}
    for tag in tags:
        if tag not in present:
            console.say(f"  pulling {tag}")
            engine.query(f"pulling {tag}", "pull", "--quiet", tag, fallback=RegistryUnavailable)


def _with_tag(options: Options, root: Path) -> Options:
    """Return options that have a tag if they push."""
    if options.push and not options.tag:
        return replace(options, tag=default_tag(root))
    return options


def default_tag(root: Path) -> str:
    """Return the tag of a pushed image: the commit's first 12 digits.

    Raises:
        UsageError: there is no commit.
    """
    commit = current_commit(root)
    if not commit:
        raise UsageError(
            "choosing a tag to push", "this is not a git repository", hint="add --tag TAG"
        )
    return commit[:12]


def bake(
    contract: Contract,
    engine: Engine,
    *,
    services: Sequence[str],
    base: BaseImage,
    log: BuildLog,
    options: Sequence[str],
) -> None:
    """Build services of the engine's compose files, and show the progress.

    Args:
        contract: the project.
        engine: the engine; its compose files are the build's definition.
        services: names of compose services.
        base: the base image.
        log: receives the progress.
        options: further options of `docker buildx bake`, as words.

    Raises:
        BuildFailed: an instruction failed; the error names it.
    """
    action = f"building {', '.join(services)}"
    files = [word for path in engine.compose_files for word in ("--file", str(path))]
    command = ("buildx", "bake", "--progress", "rawjson", *files, *options, *services)
    # bake reads the .env of its working folder only, and not COMPOSE_ENV_FILES.
    variables = env_file_variables(contract.root)
    environment = {
        **{name: value for name, value in variables.items() if name not in os.environ},
        **build_variables(contract, base),
        **engine.variables,
        # buildx 0.20 and later ask before they read a file outside the project. Here these files
        # are the secrets that the compose file names, and the user cannot answer the question.
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
    }
    # Unlike Compose, bake resolves relative paths from its working folder.
    lines = engine.stream(
        action, *command, folder=contract.root, environment=environment, failure=BuildFailed
    )
    with explaining_failure(action, log), contextlib.closing(lines):
        show_progress(lines, log, console.messages())
