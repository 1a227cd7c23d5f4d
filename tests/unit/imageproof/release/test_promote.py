"""Tests of the promotion of images between registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import UsageError, VerifyFailed
from imageproof.release import manifest
from imageproof.release.assemble import REVISION_LABEL
from imageproof.release.promote import promote, read_sources
from imageproof.verify.judge import Verdict
from tests.support.archives import LAYERS, tar
from tests.support.registry_server import INDEX
from tests.support.sample_facts import service_contract


def promote_all(fake, project, source: str, verdict: Verdict, tag: str | None = None) -> Any:
    """Promote all images of a source to PREFIX `stable`, with the same verdict for each."""
    images, release = read_sources(project, source)
    verdicts = {name: [verdict] for name in images}
    return promote(project, images, verdicts, f"{fake.host}/stable", tag, release)


@pytest.fixture
def release(push, verdict_of):
    return push(verdict_of("api"))


@pytest.fixture
def release_file(release, tmp_path: Path) -> str:
    manifest.write(release, tmp_path / "release.json")
    return str(tmp_path / "release.json")


def test_release_is_promoted_by_digest(fake, project, verdict_of, release, release_file):
    digest = release.images["api"].digest
    fake.put_image("gate/api", "1", (tar({"other": b""}),))  # moves the tag
    verdict = verdict_of("api", labels={"api": {REVISION_LABEL: "1" * 40}})
    promoted = promote_all(fake, project, release_file, verdict, "2")
    assert promoted.images["api"].digest == digest
    assert promoted.images["api"].reference == f"{fake.host}/stable/api:2"
    assert fake.manifests["stable/api", "2"] == fake.manifests["gate/api", digest]
    assert promoted.revision == release.revision
    assert (promoted.base, promoted.locks) == (release.base, release.locks)
    same_tag = promote_all(fake, project, release_file, verdict_of("api"))
    assert same_tag.images["api"].reference == f"{fake.host}/stable/api:1"


def test_image_that_violates_its_contract_is_not_promoted(fake, project, verdict_of, release_file):
    with pytest.raises(VerifyFailed):
        promote_all(fake, project, release_file, verdict_of("api", status="fail"))
    assert fake.requests_for("stable") == []


def test_pushed_builds_are_promoted_for_each_platform(fake, project, verdict_of):
    api, worker = (fake.put_image(f"staging/{name}", "7", LAYERS) for name in project.images)
    items = [
        {"digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
        for digest, architecture in ((api, "amd64"), (worker, "arm64"))
    ]
    fake.put_manifest("staging/api", "7", {"manifests": items}, INDEX)
    images, release = read_sources(project, f"docker://{fake.host}/staging:7")
    assert release is None
    assert images["api"].platforms == ("linux/amd64", "linux/arm64")
    assert images["worker"].platforms == (None,)
    assert images["worker"].location == f"docker://{fake.host}/staging/worker@{worker}"
    verdicts = {"api": [verdict_of("api"), verdict_of("api")], "worker": [verdict_of("worker")]}
    promoted = promote(project, images, verdicts, f"{fake.host}/stable", None, release)
    assert promoted.revision == "0" * 40
    assert [promoted.images[name].contract.passed for name in ("api", "worker")] == [4, 2]


@pytest.mark.parametrize(
    "source", ["docker://HOST/staging:7", "docker://staging:7", "docker://HOST/staging:a b", "none"]
)
def test_invalid_or_missing_source_is_a_usage_error(fake, project, source):
    with pytest.raises(UsageError):
        read_sources(project, source.replace("HOST", fake.host))


def test_image_outside_the_contract_is_a_usage_error(project, release_file):
    project = project.model_copy(update={"images": {"worker": service_contract()}})
    with pytest.raises(UsageError, match="no image 'api'"):
        read_sources(project, release_file)
