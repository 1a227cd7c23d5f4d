"""The real engine, the real stack: brought up by the line's own code, and always taken down.

Everything here has names of its own and free ports, so that it runs beside a running stack.
Without an engine these tests fail and say why; they are never skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops import base, build, contract, stack
from ops.contract import Contract
from ops.engine import Engine
from ops.errors import OpsError
from tests.e2e.support import (
    ROOT,
    SMALL_COMPOSE,
    SMALL_CONTRACT,
    SMALL_DOCKERFILE,
    Project,
    docker,
    one_at_a_time,
    sixth_of,
)


@pytest.fixture(scope="session")
def terms() -> Contract:
    return contract.load(ROOT)


@pytest.fixture(scope="session")
def project_name() -> str:
    return f"upgrade-gate-e2e-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def engine(terms: Contract, project_name: str) -> Engine:
    """The engine, with the stack under a name and a port of its own."""
    found = Engine((terms.compose_file, ROOT / "compose/tests.yaml"), project_name)
    try:
        found.require()
    except OpsError as error:
        reason = f"the end-to-end tests need a Docker engine: {error} ({error.hint})"
    else:
        return found
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def base_image(terms: Contract, engine: Engine) -> str:
    """The base that is here, pulled or made."""
    with one_at_a_time("base"):
        return base.resolve(terms, engine).reference


@pytest.fixture(scope="session")
def small_base(base_image: str) -> Iterator[str]:
    with sixth_of(base_image) as tag:
        yield tag


@pytest.fixture(scope="session")
def built(terms: Contract, engine: Engine) -> build.Built:
    """The images, as they are in the working tree now."""
    with one_at_a_time("build"):
        return build.build(terms, engine, None)


@pytest.fixture(scope="session")
def running(terms: Contract, engine: Engine, built: build.Built) -> Iterator[Engine]:
    """The stack, healthy; taken down whatever happens."""
    try:
        stack.up(terms, engine)
        yield engine
    finally:
        stack.down(engine, volumes=True, quiet=True)


# pytest-docker reads ports and waits; starting and cleaning up is the line's own business, since
# the plugin leaves containers behind when its start fails.
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
    """A project whose every file a test may spoil; nothing of it stays in the engine."""
    name = f"ops-e2e-{uuid.uuid4().hex[:8]}"
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ops]\ndockerfiles = ["Dockerfile"]\n' + SMALL_CONTRACT
    )
    (tmp_path / "compose.yaml").write_text(SMALL_COMPOSE.replace("NAME", name))
    (tmp_path / "Dockerfile").write_text(SMALL_DOCKERFILE)
    (tmp_path / "index.html").write_text("first\n")
    shutil.copy(ROOT / ".hadolint.yaml", tmp_path)
    try:
        yield Project(tmp_path, name, small_base)
    finally:
        for kind in ("container", "network"):
            listing = ["ps", "-aq"] if kind == "container" else ["network", "ls", "-q"]
            label = f"label=com.docker.compose.project={name}"
            for found in docker(*listing, "--filter", label).split():
                docker(kind, "rm", *(["-f"] if kind == "container" else []), found)
        if docker("image", "ls", "-q", f"{name}/web"):
            docker("image", "rm", "-f", f"{name}/web:local")


@pytest.fixture
def scratch_image(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Build an image of one Dockerfile's text; removed afterwards."""
    tags: list[str] = []

    def make(text: str) -> str:
        tag = f"ops-e2e-{uuid.uuid4().hex[:8]}:planted"
        (tmp_path / "Dockerfile.planted").write_text(text)
        tags.append(tag)
        docker(
            "buildx",
            "build",
            "-q",
            "-t",
            tag,
            "-f",
            f"{tmp_path}/Dockerfile.planted",
            str(tmp_path),
        )
        return tag

    yield make
    for tag in tags:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True)
