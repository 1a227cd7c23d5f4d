"""imageproof.release.push: nothing leaves that does not hold, and what arrives is what was verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.checks import REGISTRY
from imageproof.checks.base.supported import DIGEST as BASE_DIGEST
from imageproof.checks.base.supported import NAME as BASE_NAME
from imageproof.errors import StackFailed, UsageError, VerifyFailed
from imageproof.image.sources import read_images
from imageproof.release import manifest
from imageproof.release import push as release_push
from imageproof.release.manifest import Base
from imageproof.release.push import REVISION
from imageproof.verify.judge import Result, Subject, Verdict
from tests.support.archives import LAYERS, config, tar
from tests.support.registry_server import INDEX, serving
from tests.support.sample_facts import contract, service_contract

COMMIT, DIGEST = "0" * 40, f"sha256:{'b' * 64}"
LABELS = {REVISION: COMMIT, BASE_NAME: "python:3", BASE_DIGEST: DIGEST}
OTHER = (tar({"other": b""}),)


def labelled(**labels: str) -> dict[str, Any]:
    return config(LAYERS)["config"] | {"Labels": LABELS | labels}


@pytest.fixture
def fake(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving() as fake:
        yield fake


@pytest.fixture
def project(tmp_path):
    (tmp_path / "api.txt").write_text("fastapi==1\n")
    return contract(
        root=tmp_path,
        images={"api": service_contract(lock="api.txt"), "worker": service_contract()},
    )


@pytest.fixture
def judged(fake, project):
    """A verdict of an image as it is in the engine; it holds, unless it is told otherwise."""

    def make(*names: str, status: Any = "pass", labels: Any = None) -> Verdict:
        subjects = []
        for name in names:
            fake.put_image("engine", name, LAYERS, config=labelled(**(labels or {}).get(name, {})))
            place = f"docker://{fake.host}/engine:{name}"
            facts = read_images(SimpleNamespace(), [place], project.cache)[place]
            subjects.append(Subject(name, f"shop/{name}:local", project.images[name], facts))
        check = REGISTRY["size.budget"]
        statuses = ["pass", "waived", "not run", status]
        results = [Result(check, name, each) for name in names for each in statuses]
        return Verdict((*results, Result(check, "project", "pass")), tuple(subjects))

    return make


class _Images:
    """The images of an engine that pushes to the fake registry; `arrives` says what."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.names: set[str] = set()
        self.told: list[str] = []
        self.arrives: Any = LAYERS

    def tag(self, identity: str, reference: str) -> None:
        self.told.append(f"tag {identity}")
        self.names.add(reference)

    def push(self, reference: str, *, quiet: bool) -> None:
        path, _, tag = reference.partition("/")[2].partition(":")
        self.fake.put_image(path, tag, self.arrives, config=labelled())

    def remove(self, reference: str) -> None:
        self.names.remove(reference)


@pytest.fixture
def images(fake):
    return _Images(fake)


@pytest.fixture
def push(fake, project, images):
    engine: Any = SimpleNamespace(
        docker=SimpleNamespace(image=images),
        image=lambda name: {} if name in images.names else None,
    )
    return lambda verdict: release_push.push(project, engine, verdict, f"{fake.host}/gate", "1")


def test_a_release_says_what_arrived_and_of_what_it_was_made(fake, push, judged, images):
    verdict = judged("api", "worker")
    made = push(verdict)
    api = made.images["api"]
    assert (made.revision, made.base) == (COMMIT, Base(reference="python:3", digest=DIGEST))
    assert list(made.locks) == ["api.txt"]
    assert api.digest == release_push.resolve(release_push.parse(api.reference))[0]
    assert (api.contract.passed, api.contract.waived, api.contract.not_run) == (2, 1, 1)
    assert api.contract.digest != made.images["worker"].contract.digest
    assert images.told == [f"tag {subject.image.identity}" for subject in verdict.subjects]
    assert images.names == set()


def test_a_name_that_was_there_before_stays(fake, push, judged, images):
    images.names = {f"{fake.host}/gate/api:1"}
    push(judged("api"))
    assert images.names == {f"{fake.host}/gate/api:1"}


@pytest.mark.parametrize("status", ["fail", "unknown"])
def test_what_does_not_hold_stays(fake, push, judged, images, status):
    with pytest.raises(VerifyFailed):
        push(judged("api", status=status))
    assert images.told == []


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"worker": {REVISION: "1" * 40}}, f"several commits: {COMMIT}; {'1' * 40}"),
        ({"worker": {BASE_NAME: "python:4"}}, "several bases"),
    ],
)
def test_what_does_not_belong_together_stays(push, judged, images, labels, said):
    with pytest.raises(VerifyFailed, match=said):
        push(judged("api", "worker", labels=labels))
    assert images.told == []


def test_images_that_do_not_say_what_they_were_made_of_are_released_as_well(push, judged, images):
    nothing = {REVISION: "", BASE_NAME: "scratch", BASE_DIGEST: ""}
    verdict = judged("api", labels={"api": nothing})
    images.push = lambda reference, quiet: images.fake.put_image(
        "gate/api", "1", LAYERS, config=labelled(**nothing)
    )
    made = push(verdict)
    assert (made.revision, made.base) == ("", None)


def test_what_arrived_as_another_is_found_out(push, judged, images):
    images.arrives = OTHER
    with pytest.raises(StackFailed, match="not what was verified"):
        push(judged("api"))
    assert images.names == set()


def test_an_engine_may_call_an_image_by_the_digest_of_its_manifest(judged):
    facts = judged("api").subjects[0].image
    assert facts is not None
    other = replace(facts, identity=f"sha256:{'1' * 64}", history=())
    assert release_push._same(facts, other)
    assert not release_push._same(facts, replace(other, user="0"))
    assert not release_push._same(facts, replace(other, layers=other.layers[:1]))


# --- promote


def promote(fake, project, source: str, verdict: Verdict, tag: str | None = None) -> Any:
    images, before = release_push.sources(project, source)
    verdicts = {name: [verdict] for name in images}
    return release_push.promote(project, images, verdicts, f"{fake.host}/stable", tag, before)


@pytest.fixture
def released(push, judged, tmp_path) -> tuple[str, Any]:
    made = push(judged("api"))
    manifest.write(made, tmp_path / "release.json")
    return str(tmp_path / "release.json"), made


def test_a_release_is_promoted_by_digest(fake, project, judged, released):
    file, before = released
    wanted = before.images["api"].digest
    fake.put_image("gate/api", "1", OTHER)  # the tag leads elsewhere by now
    verdict = judged("api", labels={"api": {REVISION: "1" * 40}})
    made = promote(fake, project, file, verdict, "2")
    assert made.images["api"].digest == wanted
    assert made.images["api"].reference == f"{fake.host}/stable/api:2"
    assert fake.manifests["stable/api", "2"] == fake.manifests["gate/api", wanted]
    assert (made.revision, made.base, made.locks) == (before.revision, before.base, before.locks)
    tag_kept = promote(fake, project, file, judged("api"))
    assert tag_kept.images["api"].reference == f"{fake.host}/stable/api:1"


def test_what_does_not_hold_is_not_promoted_whoever_released_it(fake, project, judged, released):
    with pytest.raises(VerifyFailed):
        promote(fake, project, released[0], judged("api", status="fail"))
    assert fake.seen("stable") == []


def test_what_a_builder_pushed_has_the_contracts_names(fake, project, judged):
    one, two = (fake.put_image(f"staging/{name}", "7", LAYERS) for name in project.images)
    items = [
        {"digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
        for digest, architecture in ((one, "amd64"), (two, "arm64"))
    ]
    fake.put("staging/api", "7", {"manifests": items}, INDEX)
    images, before = release_push.sources(project, f"docker://{fake.host}/staging:7")
    assert before is None
    assert images["api"].platforms == ("linux/amd64", "linux/arm64")
    assert images["worker"].platforms == (None,)
    assert images["worker"].place == f"docker://{fake.host}/staging/worker@{two}"
    verdicts = {"api": [judged("api"), judged("api")], "worker": [judged("worker")]}
    made = release_push.promote(project, images, verdicts, f"{fake.host}/stable", None, before)
    assert made.revision == COMMIT
    assert [made.images[n].contract.passed for n in ("api", "worker")] == [4, 2]


@pytest.mark.parametrize(
    "source", ["docker://HOST/staging:7", "docker://staging:7", "docker://HOST/staging:a b", "none"]
)
def test_a_source_that_is_none_is_a_wrong_command_line(fake, project, source):
    with pytest.raises(UsageError):
        release_push.sources(project, source.replace("HOST", fake.host))


def test_an_image_that_the_contract_does_not_have_cannot_be_judged(project, released):
    project = project.model_copy(update={"images": {"worker": service_contract()}})
    with pytest.raises(UsageError, match="no image 'api'"):
        release_push.sources(project, released[0])


def test_the_lock_file_is_named_with_what_it_holds(released):
    path = Path(released[0]).with_name("api.txt")
    assert released[1].locks == {"api.txt": release_push._sha256(path.read_bytes())}
