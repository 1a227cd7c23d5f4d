"""Tests of build options, and of the docker command that they become.

No test runs these commands, because that takes Kubernetes or a second architecture. They are
compared word for word with the documentation.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from imageproof.build import bake
from imageproof.build.base_image import BaseImage
from imageproof.build.options import Options, apply_context, bake_options, parse_options
from imageproof.build.progress import BuildLog
from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from tests.support.sample_facts import ROOT, contract

CACHE = "type=registry,ref=registry.test/cache:{image}"
BASE = BaseImage("registry.test/python:3.11", "sha256:1", "named")
SERVICES = {"api": "web", "worker": "jobs"}


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Return the docker command of a build as text."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/arguments\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    def run(
        engine: Engine | None = None, services: Mapping[str, str] = SERVICES, **options: object
    ) -> str:
        engine = engine or Engine((Path("/project/compose.yaml"),))
        words = bake_options(parse_options(**options), services)
        project = contract(root=tmp_path)
        bake.bake(
            project,
            engine,
            services=list(services.values()),
            base=BASE,
            log=BuildLog(),
            options=words,
        )
        return shlex.join(["docker", *(tmp_path / "arguments").read_text().splitlines()])

    return run


FILE = "--file /project/compose.yaml"


def test_engine_builds_and_loads_by_default(command):
    assert command() == f"docker buildx bake --progress rawjson {FILE} --load web jobs"


def test_remote_builder_with_platforms_registry_cache_and_push(command):
    assert command(
        builder="cluster",
        platform="linux/amd64,linux/arm64",
        cache_from=CACHE,
        cache_to=f"{CACHE},mode=max",
        push="registry.test/gate",
        tag="1.0",
    ) == (
        "docker buildx bake --progress rawjson "
        f"{FILE} --builder cluster --push "
        "--set web.platform=linux/amd64,linux/arm64 "
        "--set web.cache-from=type=registry,ref=registry.test/cache:api "
        "--set web.cache-to=type=registry,ref=registry.test/cache:api,mode=max "
        "--set web.tags=registry.test/gate/api:1.0 "
        "--set jobs.platform=linux/amd64,linux/arm64 "
        "--set jobs.cache-from=type=registry,ref=registry.test/cache:worker "
        "--set jobs.cache-to=type=registry,ref=registry.test/cache:worker,mode=max "
        "--set jobs.tags=registry.test/gate/worker:1.0 "
        "web jobs"
    )


def test_documentation_shows_the_command_that_runs(command):
    page = (ROOT / "docs/delivery.md").read_text()
    shown = [
        shlex.split(block.replace("\\\n", " "))
        for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
        if " --cache-to " in block or "--set" in block
    ]
    own_command, buildx_command = shown
    options = {
        name.removeprefix("--").replace("-", "_"): value.replace("HOST", "host.test")
        for name, value in zip(own_command[2::2], own_command[3::2], strict=True)
    }
    expected = shlex.join(buildx_command).replace("HOST", "host.test")
    assert command(services={"api": "api"}, **options) == expected


def test_result_of_another_builder_stays_there_by_default(command):
    assert command(builder="many", cache=False) == (
        f"docker buildx bake --progress rawjson {FILE} --no-cache --builder many web jobs"
    )


def test_load_brings_the_result_of_another_builder_into_the_engine(command):
    assert command(builder="many", load=True) == (
        f"docker buildx bake --progress rawjson {FILE} --builder many --load web jobs"
    )


def test_each_image_has_its_own_layout_folder(command):
    assert command(builder="many", output="/out") == (
        f"docker buildx bake --progress rawjson {FILE} --builder many "
        "--set web.output=type=oci,dest=/out/api,tar=false "
        "--set jobs.output=type=oci,dest=/out/worker,tar=false web jobs"
    )


def test_context_is_an_option_of_docker_not_of_buildx(command):
    engine = Engine((Path("/project/compose.yaml"),), context="second")
    assert command(engine, push="registry.test/gate", tag="1") == (
        "docker --context second buildx bake --progress rawjson "
        f"{FILE} --push "
        "--set web.tags=registry.test/gate/api:1 --set jobs.tags=registry.test/gate/worker:1 "
        "web jobs"
    )


def test_builder_that_names_a_context_selects_that_engine(monkeypatch):
    monkeypatch.setattr(Engine, "has_context", lambda _, name: name == "second")
    engine, options = apply_context(Engine(()), Options(builder="second"))
    assert (engine.context, options) == ("second", Options())
    engine, options = apply_context(Engine(()), Options(builder="many"))
    assert (engine.context, options.builder) == (None, "many")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"platform": "arm64"}, "invalid platform"),
        ({"platform": "linux/amd64,"}, "invalid platform"),
        ({"platform": "linux/amd64;rm"}, "invalid platform"),
        ({"push": "registry.test/gate", "load": True}, "exclude each other"),
        ({"push": "registry.test/gate", "output": "out"}, "exclude each other"),
        ({"load": True, "output": "out"}, "exclude each other"),
        ({"tag": "1"}, "--tag needs --push"),
        ({"push": "gate"}, "is not a registry prefix"),
        ({"push": "registry.test/gate", "tag": "a b"}, "not a valid tag"),
    ],
)
def test_malformed_or_contradictory_options_are_rejected(options, problem):
    with pytest.raises(UsageError, match=problem):
        parse_options(**options)


def test_images_cannot_share_one_cache():
    options = parse_options(cache_to="type=registry,ref=registry.test/cache")
    with pytest.raises(UsageError, match="overwrite"):
        bake_options(options, SERVICES)
    assert bake_options(options, {"api": "web"})
