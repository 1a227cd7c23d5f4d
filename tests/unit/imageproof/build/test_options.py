"""imageproof.build.options: the command line, and the command that bake is run as.

What is written here was not run where there is no Kubernetes and no second architecture: it is the
command to the last word, so that it can be compared with docker's documentation.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from imageproof.build import bake
from imageproof.build.base_image import BaseImage
from imageproof.build.options import Options, bake_arguments, locate, parse_options
from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from imageproof.build.progress import BuildLog
from tests.support.sample_facts import ROOT, contract

CACHE = "type=registry,ref=registry.test/cache:{image}"
BASE = BaseImage("registry.test/python:3.11", "sha256:1", "named")
SERVICES = {"api": "web", "worker": "jobs"}


@pytest.fixture
def command(monkeypatch, tmp_path):
    """The command that a build would be, from the program to the targets."""
    from python_on_whales.components.buildx import cli_wrapper

    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen: list[list[str]] = []

    def stream(line, **_):
        assert line[0] == program
        seen.append(["docker", *map(str, line[1:])])
        return iter(())

    monkeypatch.setattr(cli_wrapper, "stream_buildx_logs", stream)

    def run(
        engine: Engine | None = None, services: Mapping[str, str] = SERVICES, **options: object
    ) -> str:
        engine = engine or Engine((Path("/project/compose.yaml"),))
        arguments = bake_arguments(parse_options(**options), services)
        project = contract(root=tmp_path)
        bake.bake(project, engine, list(services.values()), BASE, BuildLog(), arguments)
        return shlex.join(seen[-1])

    return run


FILE = "--file /project/compose.yaml"


def test_with_nothing_named_the_engine_builds_and_keeps_it(command):
    assert command() == f"docker buildx bake --load --progress rawjson {FILE} web jobs"


def test_the_kubernetes_driver_for_several_platforms_with_caches_in_a_registry(command):
    assert command(
        builder="cluster",
        platform="linux/amd64,linux/arm64",
        cache_from=CACHE,
        cache_to=f"{CACHE},mode=max",
        push="registry.test/gate",
        tag="1.0",
    ) == (
        "docker buildx bake --builder cluster --push --progress rawjson "
        f"{FILE} "
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


def test_the_documentation_shows_that_command(command):
    page = (ROOT / "docs/delivery.md").read_text()
    shown = [
        shlex.split(block.replace("\\\n", " "))
        for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
        if " --cache-to " in block or "--set" in block
    ]
    (asked, run) = shown
    options = dict(zip(asked[2::2], asked[3::2], strict=True))
    named = {name.removeprefix("--").replace("-", "_"): value for name, value in options.items()}
    said = {name: value.replace("HOST", "host.test") for name, value in named.items()}
    expected = shlex.join(run).replace("HOST", "host.test")
    assert command(services={"api": "api"}, **said) == expected


def test_a_builder_alone_keeps_what_it_makes(command):
    assert command(builder="many", cache=False) == (
        f"docker buildx bake --no-cache --builder many --progress rawjson {FILE} web jobs"
    )


def test_what_a_builder_makes_is_brought_here_where_that_is_asked_for(command):
    assert command(builder="many", load=True) == (
        f"docker buildx bake --builder many --load --progress rawjson {FILE} web jobs"
    )


def test_layouts_have_a_folder_each(command):
    assert command(builder="many", output="/out") == (
        f"docker buildx bake --builder many --progress rawjson {FILE} "
        "--set web.output=type=oci,dest=/out/api,tar=false "
        "--set jobs.output=type=oci,dest=/out/worker,tar=false web jobs"
    )


def test_a_context_is_another_engine_and_no_builder_of_this_one(command):
    engine = Engine((Path("/project/compose.yaml"),), context="second")
    assert command(engine, push="registry.test/gate", tag="1") == (
        "docker --context second buildx bake --push --progress rawjson "
        f"{FILE} "
        "--set web.tags=registry.test/gate/api:1 --set jobs.tags=registry.test/gate/worker:1 "
        "web jobs"
    )


def test_a_builder_that_is_a_context_is_asked_as_one(monkeypatch):
    monkeypatch.setattr(Engine, "has_context", lambda _, name: name == "second")
    engine, options = locate(Engine(()), Options(builder="second"))
    assert (engine.context, options) == ("second", Options())
    engine, options = locate(Engine(()), Options(builder="many"))
    assert (engine.context, options.builder) == (None, "many")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"platform": "arm64"}, "no platform"),
        ({"platform": "linux/amd64,"}, "no platform"),
        ({"platform": "linux/amd64;rm"}, "no platform"),
        ({"push": "registry.test/gate", "load": True}, "one place"),
        ({"push": "registry.test/gate", "output": "out"}, "one place"),
        ({"load": True, "output": "out"}, "one place"),
        ({"tag": "1"}, "--tag"),
        ({"push": "gate"}, "is not a registry prefix"),
        ({"push": "registry.test/gate", "tag": "a b"}, "no tag"),
    ],
)
def test_options_that_contradict_one_another_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        parse_options(**options)


def test_no_image_overwrites_the_cache_of_another():
    options = parse_options(cache_to="type=registry,ref=registry.test/cache")
    with pytest.raises(UsageError, match="overwrite"):
        bake_arguments(options, SERVICES)
    assert bake_arguments(options, {"api": "web"})["set"]
