"""Builds on a remote builder: a second engine behind a Docker context, with no image of the first.

The base image reaches it through a registry, and its images come back through the registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import oci_registry, second_engine
from tests.support.commands import Outcome, Project, docker
from tests.support.oci_registry import OciRegistry
from tests.support.second_engine import SecondEngine

pytestmark = pytest.mark.skipif(
    bool(second_engine.missing()), reason=f"not run here: {second_engine.missing()}"
)

# The steps use no network: the second engine has none. All files have one date, so that the same
# files make the same layer.
DOCKERFILE = """
ARG PYTHON_BASE
FROM ${PYTHON_BASE} AS build
COPY index.html /out/opt/site/
RUN echo prepared > /out/opt/site/prepared && find /out -exec touch -d @0 {} +
FROM ${PYTHON_BASE} AS runtime
ARG PYTHON_BASE
ARG BASE_DIGEST
LABEL org.opencontainers.image.base.name="${PYTHON_BASE}" \\
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
COPY --from=build /out/ /
WORKDIR /opt/site
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=1s --timeout=5s --retries=3 --start-period=1s \\
    CMD ["python3.11", "-c", "import socket, sys; \\
    sys.exit(socket.socket().connect_ex(('127.0.0.1', 8000)) and 'Connection refused')"]
CMD ["python3.11", "-m", "http.server", "8000"]
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Iterator[OciRegistry]:
    with oci_registry.serving(tmp_path_factory.mktemp("registry") / "one") as registry:
        yield registry


@pytest.fixture(scope="module")
def remote(tmp_path_factory) -> Iterator[SecondEngine]:
    with second_engine.running_engine(tmp_path_factory.mktemp("second") / "engine") as engine:
        yield engine


@pytest.fixture(scope="module")
def base(registry, small_base) -> str:
    """Push the base to the registry, for both engines to pull; return its reference."""
    name = f"{registry.host}/base/python:3.11"
    docker("tag", small_base, name)
    try:
        docker("push", "-q", name)
        digest = registry.digest("base/python", "3.11")
    finally:
        docker("image", "rm", name)
    return f"{registry.host}/base/python@{digest}"


@pytest.fixture
def site(project: Project, base: str) -> Iterator[Project]:
    """Return the small project with a Dockerfile that needs no network."""
    (project.root / "Dockerfile").write_text(DOCKERFILE)
    project.edit("compose.yaml", "target: runtime", "target: runtime\n      network: none")
    yield Project(project.root, project.name, base)
    if base in docker("image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}"):
        docker("image", "rm", base)


def passed(outcome: Outcome) -> Outcome:
    assert outcome.status == 0, outcome.output + outcome.messages
    return outcome


def layers(project: Project, reference: str, *options: str) -> list[str]:
    """Verify an image; return the digests of its layers."""
    outcome = passed(
        project.inv("verify", *options, "--image", f"web={reference}", "--format", "json")
    )
    return [layer["diff_id"] for layer in json.loads(outcome.output)["images"]["web"]["layers"]]


def test_remote_builder_builds_the_same_layers(site, registry, remote):
    passed(site.inv("build"))
    local = layers(site, f"{site.name}/web:local", "--static")
    prefix = f"{registry.host}/{site.name}"
    before = docker("image", "ls", "-q", f"{site.name}/web")
    outcome = passed(
        site.inv(
            *("build", "--builder", remote.context, "--push", prefix, "--tag", "remote"),
            *("--cache-to", "type=inline"),
            **remote.variables,
        )
    )
    assert f"docker://{prefix}/web:remote" in outcome.output
    assert layers(site, f"docker://{prefix}/web:remote", "--static") == local
    assert len(local) > 1
    # The first engine has neither the new tag nor a new image.
    assert docker("image", "ls", "-q", f"{prefix}/web") == ""
    assert docker("image", "ls", "-q", f"{site.name}/web") == before
    assert remote.docker("image", "ls", "-q", f"{prefix}/web")

    # Images of the remote builder are promoted like others.
    passed(site.inv("promote", f"docker://{prefix}:remote", "--to", f"{prefix}-stable"))
    digest = registry.digest(f"{site.name}/web", "remote")
    assert registry.digest(f"{site.name}-stable/web", "remote") == digest

    # Without a cache of its own, the remote builder takes each step from the registry's cache.
    remote.docker("image", "prune", "-af")
    remote.docker("builder", "prune", "-af")
    outcome = passed(
        site.inv(
            *("build", "--builder", remote.context, "--push", prefix, "--tag", "again"),
            *("--cache-from", f"type=registry,ref={prefix}/web:remote"),
            **remote.variables,
        )
    )
    assert layers(site, f"docker://{prefix}/web:again", "--static") == local
    cached = re.search(r"(\d+) of them cached", outcome.messages)
    assert cached, outcome.messages
    assert int(cached[1]) >= 3, outcome.messages


def test_result_stays_on_the_remote_builder_by_default(site, remote):
    outcome = passed(site.inv("build", "--builder", remote.context, **remote.variables))
    assert f"{site.name}/web:local" in outcome.output
    assert docker("image", "ls", "-q", f"{site.name}/web") == ""
    assert remote.docker("image", "ls", "-q", f"{site.name}/web")


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--builder", "ops-e2e-none"), 2, "no builder"),
        (("--output", "layouts"), 2, "not supported for the docker driver"),
        (("--platform", "linux/amd64,linux/arm64"), 2, "manifest lists"),
        (("--push", "registry.test/gate"), 2, "not a git repository"),
        (("--push", "registry.test/gate", "--load"), 2, "exclude each other"),
    ],
)
def test_unsupported_builder_option_is_reported_with_its_cause(site, options, status, message):
    outcome = site.inv("build", *options, GIT_CEILING_DIRECTORIES=str(site.root.parent))
    assert (outcome.status, message in outcome.messages) == (status, True), outcome.messages


def test_remote_builder_cannot_use_a_local_base(project, tmp_path):
    outcome = project.inv(
        "build", "--builder", "ops-e2e-none", PYTHON_BASE="imageproof/python-base:3.11-bookworm"
    )
    assert outcome.status == 2
    assert "push it to a registry" in outcome.messages
