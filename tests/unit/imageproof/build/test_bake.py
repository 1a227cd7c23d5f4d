"""Tests of the build: what bake receives, and what the result says."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.build import bake, base_image
from imageproof.build.base_image import BaseImage
from imageproof.build.options import Options
from imageproof.build.progress import BuildLog
from imageproof.errors import ContractError, UsageError
from tests.support.sample_facts import contract, service_contract

BASE = BaseImage("base.invalid/python:3.11", "sha256:1", "named")


class _Engine:
    """An engine whose every build gives `api` a new id."""

    compose_files = (Path("compose.yaml"),)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.builds = 0
        self.variables = {"WEB_PORT": "1"}
        self.command: tuple[str, ...] = ()
        self.received: dict[str, object] = {}
        self.services: dict[str, object] = {
            "api": {"image": "shop/api:1", "build": {"context": str(root)}}
        }
        self.present: set[str] = set()
        self.pulled: list[str] = []

    def stream(self, action, *arguments, folder, environment, failure):
        self.builds += 1
        self.command = arguments
        self.received = {"folder": folder, **environment}
        yield from ()

    def images(self, references):
        return {name: {"Id": "sha256:1"} for name in references if name in self.present}

    def query(self, action, *arguments, fallback):
        assert arguments[:2] == ("pull", "--quiet")
        self.pulled.append(arguments[2])

    def compose_model(self, *, interpolate):
        return {"services": self.services}


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(base_image, "find_local", lambda *_: BASE)
    monkeypatch.setattr(base_image, "for_remote_builder", lambda _: BASE)
    return _Engine(tmp_path)


@pytest.fixture
def build(engine, tmp_path):
    """Build the image `api` with the given options."""
    project = contract(root=tmp_path, images={"api": service_contract(service="api")})
    return lambda **options: bake.build(project, engine, None, Options(**options))


def test_bake_receives_variables_and_access_to_secret_files(engine, tmp_path):
    bake.bake(
        contract(root=tmp_path),
        engine,
        services=["shop"],
        base=BASE,
        log=BuildLog(),
        options=["--load"],
    )
    options = ("--progress", "rawjson", "--file", "compose.yaml", "--load")
    assert engine.command == ("buildx", "bake", *options, "shop")
    assert (
        engine.received.items()
        >= {
            "folder": tmp_path,
            "WEB_PORT": "1",
            "PYTHON_BASE": "base.invalid/python:3.11",
            "BASE_DIGEST": "sha256:1",
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        }.items()
    )


def test_buildkit_is_called_each_time(build, engine):
    build()
    build()
    assert engine.builds == 2


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({}, "shop/api:1"),
        ({"cache_to": "type=registry,ref=registry.test/cache"}, "shop/api:1"),
        ({"platforms": ("linux/arm64",)}, "shop/api:1"),
        ({"builder": "many", "load": True}, "shop/api:1"),
        ({"builder": "many"}, None),
        ({"push": "registry.test/shop", "tag": "1"}, "docker://registry.test/shop/api:1"),
        ({"output": Path("/tmp/layouts")}, "/tmp/layouts/api"),
    ],
)
def test_result_names_where_the_image_is(build, options, reference):
    result = build(**options)
    assert result.references == ({"api": reference} if reference else {})


def test_pushed_tag_is_the_commit_by_default(build, monkeypatch):
    monkeypatch.setattr(bake, "current_commit", lambda _: "0123456789abcdef")
    result = build(push="registry.test/shop")
    assert result.references == {"api": "docker://registry.test/shop/api:0123456789ab"}
    monkeypatch.setattr(bake, "current_commit", lambda _: "")
    with pytest.raises(UsageError, match="not a git repository"):
        build(push="registry.test/shop")


@pytest.mark.parametrize("service", ["other", "api"])
def test_service_without_an_image_is_reported_before_the_build(build, engine, service):
    engine.services = {service: {"build": {}}}
    with pytest.raises(ContractError, match="looking for the image api"):
        build()
    assert engine.builds == 0


def test_image_without_a_build_section_is_pulled_if_missing_and_not_built(engine, tmp_path):
    engine.services["cache"] = {"image": "redis.invalid/redis:8"}
    engine.services["proxy"] = {"image": "here/proxy:1"}
    engine.present = {"here/proxy:1"}
    images = {name: service_contract(service=name) for name in ("api", "cache", "proxy")}
    result = bake.build(contract(root=tmp_path, images=images), engine, None, Options())
    assert engine.command[-1] == "api"
    assert engine.pulled == ["redis.invalid/redis:8"]
    assert result.references == {
        "api": "shop/api:1",
        "cache": "redis.invalid/redis:8",
        "proxy": "here/proxy:1",
    }


def test_naming_an_image_without_a_build_section_is_a_wrong_command_line(engine, tmp_path):
    engine.services["cache"] = {"image": "redis.invalid/redis:8"}
    project = contract(root=tmp_path, images={"cache": service_contract(service="cache")})
    with pytest.raises(UsageError, match="'cache' has no `build:` section"):
        bake.build(project, engine, "cache", Options())


def test_image_without_a_build_section_is_not_pushed(engine, tmp_path):
    engine.services["cache"] = {"image": "redis.invalid/redis:8"}
    images = {name: service_contract(service=name) for name in ("api", "cache")}
    options = Options(push="registry.test/shop", tag="1")
    result = bake.build(contract(root=tmp_path, images=images), engine, None, options)
    assert result.references == {"api": "docker://registry.test/shop/api:1"}
    assert engine.pulled == []


@pytest.mark.parametrize(("origin", "pulls"), [("named", True), ("pulled", True), ("made", False)])
def test_pull_refreshes_the_base_and_the_images_that_a_registry_has(
    build, engine, monkeypatch, origin, pulls
):
    base = BaseImage("base.invalid/python:3.11", "sha256:2", origin)
    monkeypatch.setattr(base_image, "refresh", lambda *_: base)
    assert build(pull=True).base == base
    assert ("--pull" in engine.command) is pulls
