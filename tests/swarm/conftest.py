"""Fixtures of the swarm tests: three nodes for the session, and a stack at its first release."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from imageproof import contract
from imageproof.build import bake, base_image
from imageproof.docker.client import Engine
from ops.test_runner import missing_for_swarm
from tests.support import npm_registry
from tests.support.commands import ROOT, minimal_base, one_at_a_time, wait_until
from tests.swarm import cluster
from tests.swarm.stack import Images, Stack


@pytest.fixture(scope="session")
def local_images() -> dict[str, str]:
    """Build the contract's images from the working tree."""
    project = contract.load(ROOT)
    engine = Engine((project.compose_file,))
    engine.require_answer()
    with one_at_a_time("build"):
        return dict(bake.build(project, engine, None).references)


@pytest.fixture(scope="session")
def probe_image() -> Iterator[str]:
    """Return a small base image for probes: it is copied to a node."""
    project = contract.load(ROOT)
    with one_at_a_time("base"):
        base = base_image.resolve(project, Engine((project.compose_file,)))
    with minimal_base(base.reference) as tag:
        yield tag


@pytest.fixture(scope="session")
def swarm() -> Iterator[cluster.Swarm]:
    if missing := missing_for_swarm():
        pytest.fail(f"cannot start nodes: {missing}", pytrace=False)
    with cluster.running() as running:
        yield running


@pytest.fixture(scope="session")
def images(swarm, local_images, probe_image) -> Images:
    """Push the images to the nodes' registry, with three versions of the API."""
    manager = swarm.manager
    manager.load(*local_images.values(), probe_image)
    api = local_images["api"]
    return Images(
        {name: _push(manager, tag, name, "1") for name, tag in local_images.items()},
        better=_push(manager, _build(manager, api, 'LABEL version="2"'), "api", "2"),
        broken=_push(manager, _build(manager, api, NEVER_HEALTHY), "api", "3"),
        probe=probe_image,
    )


NEVER_HEALTHY = """HEALTHCHECK --interval=1s --timeout=5s --retries=2 --start-period=1s \
    CMD ["python", "-c", "raise SystemExit('not today')"]"""


def _build(node: cluster.Node, base: str, instruction: str) -> str:
    """Build an image with one more instruction than `base`, and return its tag."""
    tag = f"planted:{secrets.token_hex(4)}"
    node.docker(
        "build", "--quiet", "--tag", tag, "-", stdin=f"FROM {base}\n{instruction}\n".encode()
    )
    return tag


def _push(node: cluster.Node, tag: str, name: str, version: str) -> tuple[str, str]:
    """Push an image, and return its reference and digest."""
    reference = f"{cluster.REGISTRY}/gate/{name}:{version}"
    node.docker("image", "tag", tag, reference)
    node.docker("image", "push", "--quiet", reference)
    (image,) = json.loads(node.docker("image", "inspect", reference))
    repository = reference.rpartition(":")[0]
    (digest,) = [
        digest
        for name, _, digest in (pinned.partition("@") for pinned in image["RepoDigests"])
        if name == repository
    ]
    return reference, digest


@pytest.fixture(scope="session")
def npm(swarm) -> Iterator[npm_registry.Registry]:
    """Serve an npm registry in the hub for the workers."""
    serving = npm_registry.serving(host=cluster.HUB)
    registry = swarm.inside.submit(serving.__enter__).result()
    try:
        yield registry
    finally:
        serving.__exit__(None, None, None)


@pytest.fixture
def any_stack(swarm, images, npm, tmp_path) -> Stack:
    """Return the commands and clients of the stack, deployed or not."""
    return Stack(swarm, images, npm, tmp_path)


@pytest.fixture
def stack(any_stack, swarm, images) -> Iterator[Stack]:
    """Deploy the first release, and wait until all its tasks are healthy."""
    outcome = any_stack.deploy(images.first)
    assert outcome.status == 0, outcome.messages
    yield any_stack
    wait_until(lambda: all(map(swarm.ready, swarm.nodes)), 60, "a node is not ready again")
