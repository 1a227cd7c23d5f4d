"""Build the images of the contract, all in one parallel graph (docker buildx bake)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import base_image
from imageproof.build.git import current_commit
from imageproof.build.options import Options, bake_arguments
from imageproof.build.progress import BuildLog, follow
from imageproof.docker.client import Engine
from imageproof.docker.compose_images import image_tags
from imageproof.docker.environment import compose_variable, temporary_environment
from imageproof.docker.errors import translate, translating
from imageproof.errors import (
    BuildFailed,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
    UsageError,
)
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.build.base_image import BaseImage
    from imageproof.contract import Contract

# Where systems keep the CA certificates that they trust.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
HINT_LOG = "`./inv build --no-cache` runs every step again; `--debug` shows more"


@dataclass(frozen=True)
class BuildResult:
    """Result of a build."""

    references: Mapping[str, str]  # image of the contract: where it is now, if anywhere
    base: BaseImage
    seconds: float
    steps: int
    cached: int
    ids: Mapping[str, str]  # image of the contract: the engine's id of it, where it came into it


def build(
    contract: Contract, engine: Engine, name: str | None, options: Options | None = None
) -> BuildResult:
    """Build one image, or all of them. Raises BuildFailed with the instruction that failed."""
    options = options or Options()
    if options.push and not options.tag:
        options = replace(options, tag=default_tag(contract.root))
    images = contract.select(name)
    services = {name: image.service for name, image in images.items()}
    arguments = bake_arguments(options, services)
    console.step(f"build {', '.join(images)}")

    with ThreadPoolExecutor(1) as pool:  # two calls of the docker client side by side
        pending = pool.submit(image_tags, contract, engine, images)
        origin = _base(contract, engine, options)
        tags = pending.result()
    console.say(f"  base image: {origin}")
    started = time.monotonic()
    log = BuildLog()
    bake(contract, engine, list(services.values()), origin, log, arguments)
    ids = _ids(engine, tags) if options.loads else {}
    places = {name: options.reference(name, tag) for name, tag in tags.items()}
    return BuildResult(
        references={name: place for name, place in places.items() if place},
        base=origin,
        seconds=time.monotonic() - started,
        steps=len(log.steps),
        cached=sum(vertex.cached for vertex in log.steps),
        ids=ids,
    )


def _base(contract: Contract, engine: Engine, options: Options) -> BaseImage:
    """A builder of its own sees nothing of what is in the engine."""
    if options.builder:
        return base_image.elsewhere(contract)
    return base_image.resolve(contract, engine)


def default_tag(root: Path) -> str:
    """What is pushed is called after the commit. Raises UsageError where there is none."""
    revision = current_commit(root)
    if not revision:
        raise UsageError("naming what is pushed", "this is no git repository", hint="name a --tag")
    return revision[:12]


def _ids(engine: Engine, tags: Mapping[str, str]) -> dict[str, str]:
    """The image that each tag has now, where it has one."""
    found = engine.images(list(tags.values()))
    return {name: found[tag]["Id"] for name, tag in tags.items() if tag in found}


def bake(
    contract: Contract,
    engine: Engine,
    targets: list[str],
    origin: BaseImage,
    log: BuildLog,
    arguments: Mapping[str, Any],
) -> None:
    """Build services of the engine's compose files in one graph; `arguments` as bake takes them.

    Raises BuildFailed with the instruction that failed.
    """
    action = f"building {', '.join(targets)}"
    # Since buildx 0.20, bake asks for leave to read files outside of its folder. What it reads
    # here is what the compose file and `build_variables` name: there is nobody else to ask.
    variables = {**build_variables(contract, origin), "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    # Bake reads relative paths from where it runs, unlike Compose; python-on-whales has no cwd.
    with (
        temporary_environment({**engine.variables, **variables}),
        contextlib.chdir(contract.root),
        _explaining(action, log),
        translating(action, BuildFailed, HINT_LOG),
    ):
        progress: Any = "rawjson"  # python-on-whales' types do not know it yet
        lines: Any = engine.docker.buildx.bake(
            targets,
            files=[str(path) for path in engine.compose_files],
            progress=progress,
            stream_logs=True,
            **arguments,
        )
        follow(lines, log, console.messages())


@contextlib.contextmanager
def _explaining(action: str, log: BuildLog) -> Iterator[None]:
    """Where a step failed, say which instruction, with the last lines that it wrote."""
    try:
        yield
    except ImageproofError as error:
        raise _explained(action, log, error) from error


def _explained(action: str, log: BuildLog, error: ImageproofError) -> ImageproofError:
    """The error that a broken build amounts to, by what BuildKit and buildx said."""
    words = _last_words(log)
    named = translate(action, words, BuildFailed, HINT_LOG) if words else error
    vertex = log.failed
    if vertex is None or isinstance(named, EngineUnavailable):
        return error if type(named) is BuildFailed and type(error) is not BuildFailed else named
    written = clean_lines("\n".join([*vertex.log, *vertex.error.splitlines()[-1:]]))
    # Of what a program in a step says, only a full disk is the machine's affair.
    full = translate(action, "\n".join([*vertex.log, vertex.error]), BuildFailed)
    if isinstance(full, NoSpace):
        return full
    step = redact(" ".join(vertex.name.split()))
    if step.startswith("pushing "):
        said = redact(written[-1]) if written else "it does not say why"
        hint = "does the registry answer there, and may this user push? `docker login` says who"
        return RegistryUnavailable(action, f"{step} failed: {said}", hint=hint)
    return BuildFailed(action, f"this step failed: {step}", tail=written, hint=HINT_LOG)


def _last_words(log: BuildLog) -> str:
    """What buildx ended with: its error is followed by advice, and put last here."""
    words = [line for line in log.words if line.strip()]
    at = max((i for i, line in enumerate(words) if line.startswith("ERROR:")), default=-1)
    return "\n".join([*words[at + 1 :], words[at]]) if words else ""


def build_variables(contract: Contract, origin: BaseImage) -> dict[str, str]:
    """What the compose file's build sections are told: the base, the revision, and the files
    with this machine's own CA, pip and npm configuration, which become build secrets."""
    found = image_settings(contract, origin)
    home = Path.home()
    for name, candidates in (
        ("BUILD_CA", (os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES)),
        (
            "BUILD_PIP",
            (
                os.environ.get("PIP_CONFIG_FILE"),
                home / ".config/pip/pip.conf",
                home / ".pip/pip.conf",
                "/etc/pip.conf",
            ),
        ),
        ("BUILD_NPM", (os.environ.get("NPM_CONFIG_USERCONFIG"), home / ".npmrc", "/etc/npmrc")),
    ):
        if not compose_variable(contract.root, name):
            existing = (str(path) for path in candidates if path and Path(path).is_file())
            found[name] = next(existing, "/dev/null")
    return found


def image_settings(contract: Contract, origin: BaseImage) -> dict[str, str]:
    """Of that, what an image depends on; a secret's content never changes one."""
    return {
        contract.base.variable: origin.reference,
        "BASE_DIGEST": origin.digest,
        "REVISION": current_commit(contract.root),
    }
