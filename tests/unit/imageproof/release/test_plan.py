"""Tests of the dry runs of push and promotion."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.errors import MachineError, VerifyFailed
from imageproof.release import manifest
from imageproof.release.assemble import REVISION_LABEL
from imageproof.release.plan import plan_promotion, plan_push
from imageproof.release.promote import promote, read_sources
from imageproof.report.summary import print_copies
from tests.support.archives import tar


def _outcomes(copies):
    return [(copy.target.rpartition("/")[2], copy.replaces, copy.present) for copy in copies]


@pytest.fixture
def plan(fake, project):
    return lambda verdict: plan_push(project, verdict, f"{fake.host}/gate", "1")


def test_planned_push_tells_new_replaced_and_present_images(fake, plan, push, verdict_of):
    verdict = verdict_of("api")
    assert _outcomes(plan(verdict)) == [("api:1", "", False)]
    other = fake.put_image("gate/api", "1", (tar({"other": b""}),))
    assert _outcomes(plan(verdict)) == [("api:1", other, False)]
    push(verdict)
    assert _outcomes(plan(verdict)) == [("api:1", "", True)]


def test_planned_push_only_reads(fake, plan, images, verdict_of):
    verdict = verdict_of("api", "worker")
    manifests, blobs = dict(fake.manifests), dict(fake.blobs)
    plan(verdict)
    assert (fake.manifests, fake.blobs) == (manifests, blobs)
    assert images.tagged == []


def test_planned_push_fails_as_the_push_does(plan, verdict_of):
    with pytest.raises(VerifyFailed):
        plan(verdict_of("api", status="fail"))
    with pytest.raises(VerifyFailed, match="several commits"):
        plan(verdict_of("api", "worker", labels={"worker": {REVISION_LABEL: "1" * 40}}))


def test_planned_push_to_an_unreachable_registry_is_a_machine_error(project, verdict_of):
    with pytest.raises(MachineError):
        plan_push(project, verdict_of("api"), "127.0.0.1:9/gate", "1")


def test_planned_promotion_is_what_the_promotion_does(
    fake, project, push, verdict_of, tmp_path: Path
):
    verdict = verdict_of("api")
    manifest.write(push(verdict), tmp_path / "release.json")
    images, release = read_sources(project, str(tmp_path / "release.json"))
    arguments = (project, images, {"api": [verdict]}, f"{fake.host}/stable", "2")
    (planned,) = plan_promotion(*arguments)
    assert fake.requests_for("stable") == ["GET /v2/stable/api/manifests/2"]
    promoted = promote(*arguments, release).images["api"]
    assert planned.target == promoted.reference
    assert planned.source.endswith(promoted.digest)
    (repeated,) = plan_promotion(*arguments)
    assert repeated.present


def test_printed_plan_names_the_release_file(plan, verdict_of, tmp_path, capsys):
    print_copies(plan(verdict_of("api")), tmp_path / "release.json")
    printed = capsys.readouterr().out
    assert "/gate/api:1 (new)" in printed
    assert f"would write {tmp_path}/release.json" in printed
