"""Prerequisites of this machine: each with its version or path, its problem and its remedy."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.build import base_image
from imageproof.errors import ImageproofError, MachineError
from imageproof.machine import vendors

if TYPE_CHECKING:
    from imageproof.build.base_image import BaseImage
    from imageproof.contract import Contract, Tool
    from imageproof.docker.client import Engine

REMEDY = "as root: ./inv provision"
INSTALL_DOCKER = (
    "install Docker Engine 25+ with its buildx and compose plugins from your distribution"
)

MIN_ENGINE = (25, 0)  # start_interval of health checks (Docker Engine 25 release notes)
MIN_BUILDX = (0, 13)  # --progress rawjson
MIN_COMPOSE = (2, 24, 4)  # the !override tag of compose files
MIN_PYTHON = (3, 11)
MAX_BASE_AGE = timedelta(days=30)
MIN_FREE_BYTES = 3 * 10**9  # twice the size of images, base image and build cache


@dataclass(frozen=True)
class Prerequisite:
    """One prerequisite.

    Attributes:
        name: what is needed.
        found: the version, path or value found; "" if missing.
        problem: why it is not good enough; None if it is.
        remedy: what to do about it.
        warning: what to improve, although it is good enough.
        for_tests: only the project's tests need it.
    """

    name: str
    found: str
    problem: str | None = None
    remedy: str | None = None
    for_tests: bool = False
    warning: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is present and good enough."""
        return self.problem is None


def examine(contract: Contract, engine: Engine) -> list[Prerequisite]:
    """Return all prerequisites. Changes nothing, and contacts no registry."""
    return list(_prerequisites(contract, engine))


def require_all(prerequisites: list[Prerequisite]) -> None:
    """Raise MachineError if a prerequisite is missing, except one for tests only."""
    missing = [item for item in prerequisites if not item.ok and not item.for_tests]
    if missing:
        raise MachineError(
            "checking this machine",
            f"missing or too old: {', '.join(item.name for item in missing)}",
            hint=missing[0].remedy,
        )


def _prerequisites(contract: Contract, engine: Engine) -> Iterator[Prerequisite]:
    yield _check_version("python", ".".join(map(str, sys.version_info[:3])), MIN_PYTHON)
    yield from (_find_tool(name, tool) for name, tool in contract.tools.items())
    if not shutil.which("docker"):
        yield Prerequisite("docker client", "", "not found on PATH", REMEDY)
        return
    client, server = engine.versions()
    yield Prerequisite("docker client", client)
    for name, minimum in (("buildx", MIN_BUILDX), ("compose", MIN_COMPOSE)):
        version = engine.plugin_version(name)
        if version is None:
            yield Prerequisite(name, "", "the docker client has no such plugin", REMEDY)
        else:
            yield _check_version(name, version, minimum)
    if server is None:
        other = vendors.other_host(engine)
        problem = f"no engine answers on {other or 'the default socket'}"
        yield Prerequisite("engine", "", problem, vendors.DEFAULT_HOST_REMEDY if other else REMEDY)
        return
    yield _check_version("engine", server, MIN_ENGINE)
    yield _find_base_image(contract, engine)
    yield _check_disk(engine)


def _check_version(name: str, output: str, minimum: tuple[int, ...]) -> Prerequisite:
    """Compare the first version number in a program's output with the minimum."""
    match = re.search(r"(?<!\d)\d+(?:\.\d+)+", output)
    version = match[0] if match else output
    if tuple(map(int, re.findall(r"\d+", version)))[: len(minimum)] >= minimum:
        return Prerequisite(name, version)
    return Prerequisite(name, version, f"needs {'.'.join(map(str, minimum))} or later", REMEDY)


def _find_tool(name: str, tool: Tool) -> Prerequisite:
    for program in tool.programs:
        if path := shutil.which(program):
            return Prerequisite(name, path, for_tests=True)
    return Prerequisite(name, "", f"the tests need {tool.programs[0]}", REMEDY, for_tests=True)


def _find_base_image(contract: Contract, engine: Engine) -> Prerequisite:
    try:
        image = base_image.find_local(contract, engine)
    except ImageproofError as error:
        return Prerequisite("base image", "", error.cause, REMEDY)
    if image:
        return _check_age(image)
    return Prerequisite("base image", "", "the engine has none yet", REMEDY)


def _check_age(image: BaseImage) -> Prerequisite:
    """Warn about a base image that is too old to have recent security updates."""
    age = datetime.now(UTC) - image.created if image.created else timedelta()
    if age <= MAX_BASE_AGE:
        return Prerequisite("base image", str(image))
    return Prerequisite(
        "base image",
        str(image),
        warning=f"it is {age.days} days old and lacks later security updates",
        remedy="./inv build --pull",
    )


def _check_disk(engine: Engine) -> Prerequisite:
    """Check the free space of the engine's data folder, if it is on this machine."""
    query = ("info", "--format", "{{.DockerRootDir}}")
    try:
        root = engine.query("reading the engine's data folder", *query).strip()
    except ImageproofError as error:
        return Prerequisite("disk", "", error.cause, error.hint)
    if not root or not Path(root).is_dir():
        return Prerequisite("disk", "not on this machine")
    free_bytes = shutil.disk_usage(root).free
    free = f"{free_bytes / 1e9:.1f} GB free"
    if free_bytes >= MIN_FREE_BYTES:
        return Prerequisite("disk", free)
    return Prerequisite("disk", free, "a build may need 3 GB", "docker builder prune")
