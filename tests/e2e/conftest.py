"""Fixtures of the end-to-end tests: a real engine, real images and a real stack.

All names and ports are unique, so the tests can run beside a running stack. Without an engine they
fail; they are never skipped.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imageproof.build import bake
from imageproof.build.base_image import resolve
from imageproof.contract import Contract, load
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError
from imageproof.stack import compose
from tests.support.commands import (
    ROOT,
    SMALL_COMPOSE,
    SMALL_CONTRACT,
    SMALL_DOCKERFILE,
    Project,
    docker,
    minimal_base,
    one_at_a_time,
)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load(ROOT)


@pytest.fixture(scope="session")
def project_name() -> str:
    return f"upgrade-gate-e2e-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def engine(contract: Contract, project_name: str) -> Engine:
    """Return a client of the engine, for a stack with a unique name and a free port."""
    client = Engine((contract.compose_file, ROOT / "compose/tests.yaml"), project_name)
    try:
        client.require_answer()
    except ImageproofError as error:
        reason = f"the end-to-end tests need a Docker engine: {error} ({error.hint})"
    else:
        return client
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def base_image(contract: Contract, engine: Engine) -> str:
    """Return the base image; pull or make it if this host lacks it."""
    with one_at_a_time("base"):
        return resolve(contract, engine).reference


@pytest.fixture(scope="session")
def small_base(base_image: str) -> Iterator[str]:
    with minimal_base(base_image) as tag:
        yield tag


@pytest.fixture(scope="session")
def built(contract: Contract, engine: Engine) -> bake.BuildResult:
    """Build the images from the working tree."""
    with one_at_a_time("build"):
        return bake.build(contract, engine, None)


@pytest.fixture(scope="session")
def running(contract: Contract, engine: Engine, built: bake.BuildResult) -> Iterator[Engine]:
    """Start the stack, wait until it is healthy, and remove it at the end."""
    try:
        compose.up(contract, engine)
        yield engine
    finally:
        compose.down(engine, volumes=True, quiet=True)


# pytest-docker only reads ports and waits. It does not start or remove the stack, because it leaves
# containers behind if the start fails.
@pytest.fixture(scope="session")
def docker_compose_file(engine: Engine) -> list[str]:
    return [str(path) for path in engine.compose_files]


@pytest.fixture(scope="session")
def docker_compose_project_name(project_name: str) -> str:
    return project_name


@pytest.fixture(scope="session")
def docker_setup(running: Engine) -> list[str]:
    return []


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return []


@pytest.fixture
def project(tmp_path: Path, engine: Engine, small_base: str) -> Iterator[Project]:
    """Write a small project that a test may change, and remove its objects from the engine."""
    with _small_project(tmp_path, small_base) as written:
        yield written


@pytest.fixture(scope="module")
def shared_project(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, small_base: str
) -> Iterator[Project]:
    """Write a small project for all tests of a file."""
    with _small_project(tmp_path_factory.mktemp("shared"), small_base) as written:
        yield written


@contextlib.contextmanager
def _small_project(folder: Path, base: str) -> Iterator[Project]:
    name = f"ops-e2e-{uuid.uuid4().hex[:8]}"
    (folder / "pyproject.toml").write_text(
        '[tool.imageproof]\ndockerfiles = ["Dockerfile"]\n' + SMALL_CONTRACT
    )
    (folder / "compose.yaml").write_text(SMALL_COMPOSE.replace("NAME", name))
    (folder / "Dockerfile").write_text(SMALL_DOCKERFILE)
    (folder / "index.html").write_text("first\n")
    shutil.copy(ROOT / ".hadolint.yaml", folder)
    try:
        yield Project(folder, name, base)
    finally:
        label = f"label=com.docker.compose.project={name}"
        for container in docker("ps", "-aq", "--filter", label).split():
            docker("container", "rm", "-f", container)
        for network in docker("network", "ls", "-q", "--filter", label).split():
            docker("network", "rm", network)
        if docker("image", "ls", "-q", f"{name}/web"):
            docker("image", "rm", "-f", f"{name}/web:local")


@pytest.fixture
def scratch_image(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return a function that builds an image from a Dockerfile's text; remove the images."""
    tags: list[str] = []

    def build_from(text: str) -> str:
        tag = f"ops-e2e-{uuid.uuid4().hex[:8]}:planted"
        file = tmp_path / "Dockerfile.planted"
        file.write_text(text)
        tags.append(tag)
        docker("buildx", "build", "-q", "-t", tag, "-f", str(file), str(tmp_path))
        return tag

    yield build_from
    for tag in tags:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True)
