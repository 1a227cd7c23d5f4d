"""Tests of the push of verified images."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imageproof.checks.base.pinned import BASE_DIGEST
from imageproof.errors import ImageDamaged, VerifyFailed
from imageproof.image.registry_source import resolve_digest
from imageproof.image.sizes import BASE_NAME
from imageproof.registry.reference import parse_reference
from imageproof.release.assemble import REVISION_LABEL, sha256
from imageproof.release.manifest import Base
from imageproof.release.push import is_same_image
from tests.support.archives import tar

COMMIT = "0" * 40


def test_release_records_what_arrived_and_its_provenance(push, verdict_of, images, project):
    verdict = verdict_of("api", "worker")
    release = push(verdict)
    api = release.images["api"]
    assert release.revision == COMMIT
    assert release.base == Base(reference="python:3", digest=f"sha256:{'b' * 64}")
    assert release.locks == {"api.txt": sha256((project.root / "api.txt").read_bytes())}
    assert api.digest == resolve_digest(parse_reference(api.reference))[0]
    assert (api.contract.passed, api.contract.waived, api.contract.not_run) == (2, 1, 1)
    assert api.contract.digest != release.images["worker"].contract.digest
    assert images.tagged == [subject.image.identity for subject in verdict.subjects]
    assert images.names == set()


def test_existing_local_tag_stays(fake, push, verdict_of, images):
    images.names = {f"{fake.host}/gate/api:1"}
    push(verdict_of("api"))
    assert images.names == {f"{fake.host}/gate/api:1"}


@pytest.mark.parametrize("status", ["fail", "unknown"])
def test_image_that_violates_its_contract_is_not_pushed(push, verdict_of, images, status):
    with pytest.raises(VerifyFailed):
        push(verdict_of("api", status=status))
    assert images.tagged == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"worker": {REVISION_LABEL: "1" * 40}}, f"several commits: {COMMIT}; {'1' * 40}"),
        ({"worker": {BASE_NAME: "python:4"}}, "several base images"),
    ],
)
def test_images_of_several_commits_or_bases_are_not_pushed(
    push, verdict_of, images, labels, message
):
    with pytest.raises(VerifyFailed, match=message):
        push(verdict_of("api", "worker", labels=labels))
    assert images.tagged == []


def test_images_without_provenance_labels_are_pushed(push, verdict_of, images):
    images.labels = {REVISION_LABEL: "", BASE_NAME: "scratch", BASE_DIGEST: ""}
    release = push(verdict_of("api", labels={"api": images.labels}))
    assert (release.revision, release.base) == ("", None)


def test_other_image_under_the_pushed_tag_is_an_error(push, verdict_of, images):
    images.layers = (tar({"other": b""}),)
    with pytest.raises(ImageDamaged, match="not the verified image"):
        push(verdict_of("api"))
    assert images.names == set()


def test_images_with_different_ids_are_compared_by_layers_and_configuration(verdict_of):
    facts = verdict_of("api").subjects[0].image
    assert facts is not None
    other = replace(facts, identity=f"sha256:{'1' * 64}", history=())
    assert is_same_image(facts, other)
    assert not is_same_image(facts, replace(other, user="0"))
    assert not is_same_image(facts, replace(other, layers=other.layers[:1]))
