"""Push, verification and promotion with a real registry."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator

import pytest

from tests.support.commands import Outcome, Project, docker
from tests.support.oci_registry import PASSWORD, USER, OciRegistry, serving


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Iterator[OciRegistry]:
    """Share one registry, so that the base is pushed once. Each project has its own names in it."""
    with serving(tmp_path_factory.mktemp("registry") / "one") as registry:
        yield registry


@pytest.fixture
def built(project: Project) -> Project:
    outcome = project.inv("build")
    assert outcome.status == 0, outcome.messages
    return project


def push(project: Project, registry: OciRegistry, **variables: str) -> Outcome:
    prefix = f"{registry.host}/{project.name}"
    return project.inv("push", "--registry", prefix, "--tag", "1.0", **variables)


def release(project: Project, file: str = ".imageproof/release.json") -> dict:
    return json.loads((project.root / file).read_text())


def push_by_hand(project: Project, name: str) -> None:
    """Push the local image without verifying it."""
    docker("tag", f"{project.name}/web:local", name)
    try:
        docker("push", "-q", name)
    finally:
        docker("image", "rm", name)


def layers(outcome: Outcome) -> list[str]:
    """Return the digests of the layers that `verify --format json` printed."""
    assert outcome.status == 0, outcome.output + outcome.messages
    return [layer["diff_id"] for layer in json.loads(outcome.output)["images"]["web"]["layers"]]


def verify(project: Project, reference: str, **variables: str) -> Outcome:
    image = f"web=docker://{reference}"
    return project.inv("verify", "--static", "--image", image, "--format", "json", **variables)


def test_pushed_images_are_verified_from_the_registry(built, registry):
    local = layers(built.inv("verify", "--static", "--image", "web", "--format", "json"))
    outcome = push(built, registry)
    assert outcome.status == 0, outcome.output + outcome.messages
    names = docker("image", "ls", "--format", "{{.Repository}}").split()
    assert not [name for name in names if name.startswith(f"{registry.host}/")]

    manifest = release(built)
    digest = registry.digest(f"{built.name}/web", "1.0")
    assert manifest["images"]["web"]["digest"] == digest
    assert manifest["images"]["web"]["reference"] == f"{registry.host}/{built.name}/web:1.0"
    assert manifest["images"]["web"]["contract"]["pass"] > 20
    assert manifest["base"]["reference"] == built.base_image
    assert f"web  {registry.host}/{built.name}/web@{digest}" in outcome.output

    docker("image", "rm", f"{built.name}/web:local")
    pinned = f"{registry.host}/{built.name}/web@{digest}"
    before = registry.count_requests("/blobs/")
    assert layers(verify(built, pinned)) == local
    # Only the configuration: the layers are cached.
    assert registry.count_requests("/blobs/") == before + 1

    shutil.rmtree(built.caches)
    assert layers(verify(built, pinned, DOCKER_HOST="unix:///nowhere/docker.sock")) == local
    assert registry.count_requests("/blobs/") > before + 2


def test_failing_images_are_neither_pushed_nor_promoted(project, registry):
    project.edit("Dockerfile", "USER 10001:10001", "USER 0:0")
    assert project.inv("build").status == 0
    outcome = push(project, registry)
    assert outcome.status == 1
    assert "user.nonroot" in outcome.output
    assert registry.count_requests(project.name) == 0

    push_by_hand(project, f"{registry.host}/{project.name}-staging/web:1.0")
    source = f"docker://{registry.host}/{project.name}-staging:1.0"
    outcome = project.inv("promote", source, "--to", f"{registry.host}/{project.name}")
    assert outcome.status == 1
    assert "user.nonroot" in outcome.output
    assert registry.digest(f"{project.name}/web", "1.0") is None
    assert not (project.root / ".imageproof/release.json").exists()


def test_release_is_promoted_by_digest_even_if_its_tag_moved(built, registry, tmp_path):
    assert push(built, registry).status == 0
    digest = registry.digest(f"{built.name}/web", "1.0")
    built.edit("index.html", "first", "another")
    assert built.inv("build").status == 0
    push_by_hand(built, f"{registry.host}/{built.name}/web:1.0")
    assert registry.digest(f"{built.name}/web", "1.0") != digest

    with serving(tmp_path / "other") as other:
        for target, tag in ((registry, "stable"), (other, "1.0")):
            prefix = f"{target.host}/{built.name}-production"
            outcome = built.inv(
                *("promote", ".imageproof/release.json", "--to", prefix),
                *("--tag", tag, "--output", "promoted.json"),
            )
            assert outcome.status == 0, outcome.output + outcome.messages
            assert target.digest(f"{built.name}-production/web", tag) == digest
            manifest = release(built, "promoted.json")
            assert manifest["images"]["web"]["digest"] == digest
            assert manifest["images"]["web"]["reference"] == f"{prefix}/web:{tag}"
            assert manifest["base"] == release(built)["base"]
        assert layers(verify(built, f"{other.host}/{built.name}-production/web:1.0"))
    assert registry.count_requests("mount=") > 0  # mounted, not copied, within one registry


def test_dry_runs_print_what_is_copied_and_change_nothing(built, registry):
    def files() -> dict[str, bytes]:
        paths = [path for path in built.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(built.root)): path.read_bytes() for path in paths}

    names = (f"{built.name}/web", f"{built.name}-production/web")
    target = f"{registry.host}/{names[1]}:2.0"
    before = files()
    push_options = ("push", "--registry", f"{registry.host}/{built.name}", "--tag", "1.0")
    planned = built.inv(*push_options, "--dry-run")
    assert planned.status == 0, planned.messages
    assert f" → {registry.host}/{names[0]}:1.0 (new)" in planned.output
    assert (registry.digest(names[0], "1.0"), files()) == (None, before)
    assert f"{registry.host}/" not in docker("image", "ls", "--format", "{{.Repository}}")
    assert built.inv(*push_options).status == 0
    assert "(is there already)" in built.inv(*push_options, "--dry-run").output

    before = files()
    to = f"{registry.host}/{built.name}-production"
    options = ("promote", ".imageproof/release.json", "--to", to, "--tag", "2.0")
    planned = built.inv(*options, "--dry-run")
    assert planned.status == 0, planned.messages
    digest = registry.digest(names[0], "1.0")
    assert f"{names[0]}@{digest} → {target} (new)" in planned.output
    assert "would replace " in planned.output
    assert (registry.digest(names[1], "2.0"), files()) == (None, before)
    assert built.inv(*options).status == 0
    assert registry.digest(names[1], "2.0") == digest


def test_images_pushed_by_a_build_are_promoted(built, registry):
    staging = f"{built.name}-staging"
    outcome = built.inv("build", "--push", f"{registry.host}/{staging}", "--tag", "7")
    assert outcome.status == 0, outcome.messages
    docker(
        "image", "rm", f"{registry.host}/{staging}/web:7"
    )  # the docker driver stores it in the engine as well
    assert f"docker://{registry.host}/{staging}/web:7" in outcome.output
    outcome = built.inv(
        "promote", f"docker://{registry.host}/{staging}:7", "--to", f"{registry.host}/{built.name}"
    )
    assert outcome.status == 0, outcome.output + outcome.messages
    digest = registry.digest(f"{staging}/web", "7")
    assert registry.digest(f"{built.name}/web", "7") == digest
    assert release(built)["images"]["web"]["digest"] == digest


def test_damaged_layer_in_the_registry_is_detected(built, registry):
    assert push(built, registry).status == 0
    layer = registry.layers(f"{built.name}/web", "1.0")[-1]
    pinned = release(built)["images"]["web"]["digest"]
    shutil.rmtree(built.caches)
    with registry.corrupted(layer):
        for outcome in (
            verify(built, f"{registry.host}/{built.name}/web@{pinned}"),
            built.inv("promote", ".imageproof/release.json", "--to", f"{registry.host}/spoiled"),
        ):
            assert outcome.status == 1
            assert f"blobs/sha256/{layer.partition(':')[2]}" in outcome.messages
            assert "broken" in outcome.messages
    assert registry.digest("spoiled/web", "1.0") is None


@pytest.fixture
def private(tmp_path) -> Iterator[OciRegistry]:
    """Start a registry that needs a login."""
    with serving(tmp_path / "closed", requires_login=True) as registry:
        yield registry


def test_private_registry_uses_dockers_credentials(built, registry, private, tmp_path):
    assert push(built, registry).status == 0
    folder = tmp_path / "docker"
    folder.mkdir()
    prefix = f"{private.host}/{built.name}"

    def run(*arguments: str) -> Outcome:
        return built.inv(*arguments, DOCKER_CONFIG=str(folder))

    commands = (
        ("promote", ".imageproof/release.json", "--to", prefix),
        ("push", "--registry", prefix, "--tag", "1.0"),
        ("verify", "--static", "--image", f"web=docker://{prefix}/web:1.0"),
    )
    for command in commands:
        outcome = run(*command)
        assert outcome.status == 3, outcome.messages
        assert "docker login" in outcome.messages
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": auth}}}))
    for command in commands:
        outcome = run(*command)
        assert outcome.status == 0, outcome.output + outcome.messages
        assert PASSWORD not in outcome.output + outcome.messages
    assert release(built)["images"]["web"]["reference"] == f"{prefix}/web:1.0"


def test_unreachable_registry_is_a_machine_error(built, tmp_path):
    with serving(tmp_path / "gone") as gone:
        pass
    outcome = push(built, gone)
    assert outcome.status == 3
    assert "whether the registry runs" in outcome.messages
    outcome = verify(built, f"{gone.host}/{built.name}/web:1.0")
    assert outcome.status == 3
    assert "no program answers at" in outcome.messages


def test_wrong_options_are_rejected_before_any_work(project):
    for arguments, message in (
        (("push",), "push needs a registry"),
        (("push", "--registry", "https://registry.test"), "without https://"),
        (("promote", "none.json", "--to", "registry.test/gate"), "No such file"),
        (("promote", "docker://registry.test/gate:1"), "is not a registry prefix"),
    ):
        outcome = project.inv(*arguments)
        assert (outcome.status, message in outcome.messages) == (2, True), outcome.messages
