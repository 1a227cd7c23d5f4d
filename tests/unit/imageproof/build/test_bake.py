"""Tests of the build: what bake receives, and what the result says."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.build import bake, base_image
from imageproof.build.base_image import BaseImage
from imageproof.build.options import Options
from imageproof.build.progress import BuildLog
from imageproof.errors import BuildFailed, ContractError, UsageError
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

    def stream(self, action, *arguments, folder, environment, failure):
        self.builds += 1
        self.command = arguments
        self.received = {"folder": folder, **environment}
        yield from ()

    def images(self, references):
        return {reference: {"Id": f"sha256:{self.builds}"} for reference in references}

    def compose_model(self, *, interpolate):
        return {"services": {"api": {"image": "shop/api:1", "build": {"context": str(self.root)}}}}


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


def _failing(error: BaseException):
    def stream(*_: object, **__: object):
        raise error
        yield

    return stream


@pytest.mark.parametrize(
    ("services", "error", "raised"),
    [
        ({"api": {"image": "shop/api:1"}}, BuildFailed("building", "no"), BuildFailed),
        ({"other": {}}, BuildFailed("building", "no such target"), ContractError),
        ({"other": {}}, KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_error_of_the_compose_file_explains_a_failed_build(
    build, engine, monkeypatch, services, error, raised
):
    monkeypatch.setattr(engine, "stream", _failing(error))
    monkeypatch.setattr(engine, "compose_model", lambda **_: {"services": services})
    with pytest.raises(raised):
        build()
