"""A builder elsewhere: a second engine, reached by a docker context, that has nothing of this one.

The base comes to it through a registry, and what it makes goes back the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import oci_registry
from tests.support import second_engine as daemons
from tests.support.commands import Outcome, Project, docker
from tests.support.oci_registry import OciRegistry
from tests.support.second_engine import Daemon

pytestmark = pytest.mark.skipif(
    bool(daemons.missing()), reason=f"not run here: {daemons.missing()}"
)

# No step has a network: the second engine has none to give. All files have one date, so that the
# same files are the same layer.
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
    with oci_registry.serving(tmp_path_factory.mktemp("registry") / "one") as found:
        yield found


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Iterator[Daemon]:
    with daemons.serving(tmp_path_factory.mktemp("second") / "engine") as found:
        yield found


@pytest.fixture(scope="module")
def base(registry, small_base) -> str:
    """The base, where both engines can pull it."""
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
    (project.root / "Dockerfile").write_text(DOCKERFILE)
    project.edit("compose.yaml", "target: runtime", "target: runtime\n      network: none")
    yield Project(project.root, project.name, base)
    if base in docker("image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}"):
        docker("image", "rm", base)


def good(outcome: Outcome) -> Outcome:
    assert outcome.status == 0, outcome.output + outcome.messages
    return outcome


def layers(project: Project, reference: str, *options: str) -> list[str]:
    found = project.inv("verify", *options, "--image", f"web={reference}", "--format", "json")
    return [item["diff_id"] for item in json.loads(good(found).output)["images"]["web"]["layers"]]


def test_second_engine_builds_the_same_layers(site, registry, second):
    good(site.inv("build"))
    here = layers(site, f"{site.name}/web:local", "--static")
    place = f"{registry.host}/{site.name}"
    before = docker("image", "ls", "-q", f"{site.name}/web")
    outcome = good(
        site.inv(
            *("build", "--builder", second.context, "--push", place, "--tag", "remote"),
            *("--cache-to", "type=inline"),
            **second.variables,
        )
    )
    assert f"docker://{place}/web:remote" in outcome.output
    assert layers(site, f"docker://{place}/web:remote", "--static") == here
    assert len(here) > 1
    # It was made there: this engine has no such name, nor another image than before.
    assert docker("image", "ls", "-q", f"{place}/web") == ""
    assert docker("image", "ls", "-q", f"{site.name}/web") == before
    assert second.docker("image", "ls", "-q", f"{place}/web")

    # What it made is released like anything else: judged where it is.
    good(site.inv("promote", f"docker://{place}:remote", "--to", f"{place}-stable"))
    digest = registry.digest(f"{site.name}/web", "remote")
    assert registry.digest(f"{site.name}-stable/web", "remote") == digest

    # An engine that has forgotten everything takes each step from the registry's cache.
    second.docker("image", "prune", "-af")
    second.docker("builder", "prune", "-af")
    outcome = good(
        site.inv(
            *("build", "--builder", second.context, "--push", place, "--tag", "again"),
            *("--cache-from", f"type=registry,ref={place}/web:remote"),
            **second.variables,
        )
    )
    assert layers(site, f"docker://{place}/web:again", "--static") == here
    cached = re.search(r"(\d+) of them cached", outcome.messages)
    assert cached, outcome.messages
    assert int(cached[1]) >= 3, outcome.messages


def test_result_stays_in_the_second_engine_by_default(site, second):
    outcome = good(site.inv("build", "--builder", second.context, **second.variables))
    assert f"{site.name}/web:local" in outcome.output
    assert docker("image", "ls", "-q", f"{site.name}/web") == ""
    assert second.docker("image", "ls", "-q", f"{site.name}/web")
    again = good(site.inv("build", "--builder", second.context, **second.variables))
    assert "nothing changed" in again.messages
    # The same build here is another matter, whatever was built there.
    outcome = good(site.inv("build"))
    assert "nothing changed" not in outcome.messages
    assert docker("image", "ls", "-q", f"{site.name}/web")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--builder", "ops-e2e-none"), 1, "no builder"),
        (("--output", "layouts"), 1, "not supported for the docker driver"),
        (("--platform", "linux/amd64,linux/arm64"), 1, "manifest lists"),
        (("--push", "registry.test/gate"), 2, "no git repository"),
        (("--push", "registry.test/gate", "--load"), 2, "one place"),
    ],
)
def test_unsupported_builder_option_is_reported_in_its_words(site, options, status, said):
    outcome = site.inv("build", *options, GIT_CEILING_DIRECTORIES=str(site.root.parent))
    assert (outcome.status, said in outcome.messages) == (status, True), outcome.messages


def test_remote_builder_cannot_use_a_local_base(project, tmp_path):
    outcome = project.inv(
        "build", "--builder", "ops-e2e-none", PYTHON_BASE="imageproof/python-base:3.11-bookworm"
    )
    assert outcome.status == 2
    assert "push it to a registry" in outcome.messages
