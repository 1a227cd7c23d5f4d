"""Fixtures of the release tests: a project, verdicts of its images, and an engine that pushes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.checks import REGISTRY
from imageproof.checks.base.pinned import BASE_DIGEST
from imageproof.image.sizes import BASE_NAME
from imageproof.image.sources import read_images
from imageproof.release import push as release_push
from imageproof.release.assemble import REVISION_LABEL
from imageproof.verify.judge import Result, Subject, Verdict
from tests.support.archives import LAYERS, image_config
from tests.support.registry_server import serving
from tests.support.sample_facts import contract, service_contract

LABELS = {REVISION_LABEL: "0" * 40, BASE_NAME: "python:3", BASE_DIGEST: f"sha256:{'b' * 64}"}


def labelled(labels: dict[str, str]) -> dict[str, Any]:
    return image_config(LAYERS)["config"] | {"Labels": LABELS | labels}


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Run a fake registry, without credentials."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving() as registry:
        yield registry


@pytest.fixture
def project(tmp_path):
    """Return a contract with two images; the first has a lock file."""
    (tmp_path / "api.txt").write_text("fastapi==1\n")
    return contract(
        root=tmp_path,
        images={"api": service_contract(lock="api.txt"), "worker": service_contract()},
    )


@pytest.fixture
def verdict_of(fake, project):
    """Return a function that makes a verdict of local images.

    Each image has one result of each status `pass`, `waived`, `not run`, and one of `status`.
    """

    def make(*names: str, status: Any = "pass", labels: Any = None) -> Verdict:
        subjects = []
        for name in names:
            fake.put_image("engine", name, LAYERS, config=labelled((labels or {}).get(name, {})))
            location = f"docker://{fake.host}/engine:{name}"
            facts = read_images(SimpleNamespace(), [location], None)[location]
            subjects.append(Subject(name, f"shop/{name}:local", project.images[name], facts))
        check = REGISTRY["size.budget"]
        statuses = ["pass", "waived", "not run", status]
        results = [Result(check, name, s) for name in names for s in statuses]
        return Verdict((*results, Result(check, "project", "pass")), tuple(subjects))

    return make


class FakeImages:
    """Images of a fake engine. Any push sends `layers` and `labels` to the fake registry."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.names: set[str] = set()  # current tags
        self.tagged: list[str] = []  # ids of the images that were tagged
        self.layers: Any = LAYERS
        self.labels: dict[str, str] = {}

    def tag(self, identity: str, reference: str) -> None:
        self.tagged.append(identity)
        self.names.add(reference)

    def push(self, reference: str, *, quiet: bool) -> None:
        path, _, tag = reference.partition("/")[2].partition(":")
        self.fake.put_image(path, tag, self.layers, config=labelled(self.labels))

    def remove(self, reference: str) -> None:
        self.names.remove(reference)


@pytest.fixture
def images(fake):
    return FakeImages(fake)


@pytest.fixture
def push(fake, project, images):
    """Return a function that pushes the images of a verdict to the fake registry."""
    engine: Any = SimpleNamespace(
        whales=SimpleNamespace(image=images),
        image=lambda name: {} if name in images.names else None,
    )
    return lambda verdict: release_push.push(project, engine, verdict, f"{fake.host}/gate", "1")
