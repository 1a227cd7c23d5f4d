"""What the line needs of a machine: each thing, what was found of it, and how to mend it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.build import base_image
from imageproof.errors import ImageproofError, MachineError

if TYPE_CHECKING:
    from imageproof.contract import Contract, Tool
    from imageproof.docker.client import Engine

REMEDY = "as root: ./inv provision"
ELSEWHERE = "install Docker Engine 25+ with its buildx and compose plugins from your distribution"

ENGINE_MINIMUM = (25, 0)  # start_interval of health checks (Docker Engine 25 release notes)
BUILDX_MINIMUM = (0, 13)  # --progress rawjson
COMPOSE_MINIMUM = (2, 24, 4)  # the !override tag of compose/tests.yaml
PYTHON_MINIMUM = (3, 11)
SPACE_MINIMUM = 3 * 10**9  # bytes; both images, the base and the build cache take about 1.5 GB


@dataclass(frozen=True)
class Prerequisite:
    """One thing that the line needs. `problem` is None where all is well."""

    name: str
    found: str
    problem: str | None = None
    remedy: str | None = None
    for_tests: bool = False  # the rest of the line works without it

    @property
    def ok(self) -> bool:
        """Whether it is there and good enough."""
        return self.problem is None


def examine(contract: Contract, engine: Engine) -> list[Prerequisite]:
    """Look at everything that is needed. Changes nothing, and asks no registry."""
    return list(_examine(contract, engine))


def require_all(found: list[Prerequisite]) -> None:
    """Raise MachineError where something is missing."""
    missing = [item for item in found if not item.ok and not item.for_tests]
    if missing:
        raise MachineError(
            "examining this machine",
            f"{', '.join(item.name for item in missing)} fall short",
            hint=missing[0].remedy,
        )


def _examine(contract: Contract, engine: Engine) -> Iterator[Prerequisite]:
    yield _at_least("python", ".".join(map(str, sys.version_info[:3])), PYTHON_MINIMUM)
    yield from (_tool(name, tool) for name, tool in contract.tools.items())
    if not shutil.which("docker"):
        yield Prerequisite("docker client", "", "there is none on PATH", REMEDY)
        return
    client, server = engine.versions()
    yield Prerequisite("docker client", client)
    for name, minimum in (("buildx", BUILDX_MINIMUM), ("compose", COMPOSE_MINIMUM)):
        version = engine.plugin_version(name)
        if version is None:
            yield Prerequisite(name, "", "the docker client has no such plugin", REMEDY)
        else:
            yield _at_least(name, version, minimum)
    if server is None:
        host = os.environ.get("DOCKER_HOST", "its default socket")
        yield Prerequisite("engine", "", f"none answers on {host}", REMEDY)
        return
    yield _at_least("engine", server, ENGINE_MINIMUM)
    yield _base(contract, engine)
    yield _space(engine)


def _at_least(name: str, answer: str, minimum: tuple[int, ...]) -> Prerequisite:
    match = re.search(r"\d+(?:\.\d+)+", answer)
    found = match[0] if match else answer
    if tuple(map(int, re.findall(r"\d+", found)))[: len(minimum)] >= minimum:
        return Prerequisite(name, found)
    wanted = ".".join(map(str, minimum))
    return Prerequisite(name, found, f"needs {wanted} or later", REMEDY)


def _tool(name: str, tool: Tool) -> Prerequisite:
    for program in tool.programs:
        if path := shutil.which(program):
            return Prerequisite(name, path, for_tests=True)
    return Prerequisite(name, "", f"the tests need {tool.programs[0]}", REMEDY, for_tests=True)


def _base(contract: Contract, engine: Engine) -> Prerequisite:
    try:
        image = base_image.find_local(contract, engine)
    except ImageproofError as error:
        return Prerequisite("base image", "", error.cause, REMEDY)
    if image:
        return Prerequisite("base image", str(image))
    return Prerequisite("base image", "", "none is here yet", REMEDY)


def _space(engine: Engine) -> Prerequisite:
    """Free bytes where the engine keeps its data, as far as this machine can see it."""
    root = engine.docker.info().docker_root_dir
    if root is None or not Path(root).is_dir():
        return Prerequisite("disk", "not on this machine")
    free = shutil.disk_usage(root).free
    found = f"{free / 1e9:.1f} GB free"
    if free >= SPACE_MINIMUM:
        return Prerequisite("disk", found)
    return Prerequisite("disk", found, "a build may need 3 GB", "docker builder prune")
