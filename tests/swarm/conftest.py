"""A stack on three nodes: brought up once for the module, brought to one release for each test."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from imageproof import contract
from imageproof.build import bake, base_image
from imageproof.docker.client import Engine
from ops.test_runner import missing_for_nodes
from tests.support import npm_registry
from tests.support.commands import ROOT, minimal_base, one_at_a_time, wait_until
from tests.swarm import cluster
from tests.swarm.gate import Gate, Images


@pytest.fixture(scope="session")
def local_images() -> dict[str, str]:
    """The images of the contract, as they are in the working tree now."""
    terms = contract.load(ROOT)
    engine = Engine((terms.compose_file,))
    engine.require()
    with one_at_a_time("build"):
        return dict(bake.build(terms, engine, None).references)


@pytest.fixture(scope="session")
def probe_image() -> Iterator[str]:
    """Of which probes are made: a small base, since it is sent to a node."""
    terms = contract.load(ROOT)
    with one_at_a_time("base"):
        whole = base_image.resolve(terms, Engine((terms.compose_file,))).reference
    with minimal_base(whole) as tag:
        yield tag


@pytest.fixture(scope="session")
def swarm() -> Iterator[cluster.Swarm]:
    if lack := missing_for_nodes():
        pytest.fail(f"the swarm's tests need nodes: {lack}", pytrace=False)
    with cluster.running() as found:
        yield found


@pytest.fixture(scope="session")
def images(swarm, local_images, probe_image) -> Images:
    """The images in the nodes' registry, by digest: the API in three versions."""
    manager = swarm.manager
    saving = ["docker", "image", "save", *local_images.values(), probe_image]
    with subprocess.Popen(saving, stdout=subprocess.PIPE) as process:
        loading = ["docker", "--host", manager.host, "image", "load"]
        loaded = subprocess.run(loading, stdin=process.stdout, capture_output=True)
    assert loaded.returncode == 0, loaded.stderr
    api = local_images["api"]
    return Images(
        {name: _push(manager, tag, name, "1") for name, tag in local_images.items()},
        better=_push(manager, _build(manager, api, 'LABEL version="2"'), "api", "2"),
        broken=_push(manager, _build(manager, api, NEVER_HEALTHY), "api", "3"),
        probe=probe_image,
    )


NEVER_HEALTHY = """HEALTHCHECK --interval=1s --timeout=5s --retries=2 --start-period=1s \
    CMD ["python", "-c", "raise SystemExit('not today')"]"""


def _build(node: cluster.Node, base: str, line: str) -> str:
    tag = f"planted:{secrets.token_hex(4)}"
    node.docker("build", "--quiet", "--tag", tag, "-", given=f"FROM {base}\n{line}\n".encode())
    return tag


def _push(node: cluster.Node, tag: str, name: str, version: str) -> tuple[str, str]:
    """Push an image; its name in the registry, and its digest."""
    reference = f"{cluster.REGISTRY}/gate/{name}:{version}"
    node.docker("image", "tag", tag, reference)
    node.docker("image", "push", "--quiet", reference)
    (found,) = json.loads(node.docker("image", "inspect", reference))
    repository = reference.rpartition(":")[0]
    (pinned,) = [d for d in found["RepoDigests"] if d.startswith(f"{repository}@")]
    return reference, pinned.partition("@")[2]


@pytest.fixture(scope="session")
def npm(swarm) -> Iterator[npm_registry.Registry]:
    """An npm registry in the hub, which the workers reach."""
    serving = npm_registry.serving(host=cluster.HUB)
    found = swarm.inside.submit(serving.__enter__).result()
    try:
        yield found
    finally:
        serving.__exit__(None, None, None)


@pytest.fixture
def gates(swarm, images, npm, tmp_path) -> Gate:
    """The commands and clients of a stack that may not be there."""
    return Gate(swarm, images, npm, tmp_path)


@pytest.fixture
def gate(gates, swarm, images) -> Iterator[Gate]:
    """The stack at its first release, with all of its tasks healthy, whatever was before."""
    outcome = gates.deploy(images.first)
    assert outcome.status == 0, outcome.messages
    yield gates
    wait_until(lambda: all(map(swarm.ready, swarm.nodes)), 60, "a node did not come back")
