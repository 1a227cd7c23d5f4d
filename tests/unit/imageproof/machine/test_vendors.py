"""Tests of the refusal to install Docker beside that of another vendor."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imageproof import apt
from imageproof.errors import EngineUnavailable, ProvisionFailed
from imageproof.machine import vendors


@pytest.mark.parametrize(
    ("owner", "parts", "advice"),
    [
        ("docker-ce-cli", ["compose"], "apt-get install docker-compose-plugin"),
        ("docker-ce-cli", ["buildx", "engine"], "apt-get install docker-buildx-plugin docker-ce"),
        ("moby-cli", ["compose"], "apt-get install moby-compose"),
        ("podman-docker", ["compose"], "apt-get remove podman-docker"),
    ],
)
def test_hint_names_the_vendors_own_package(monkeypatch, owner, parts, advice):
    monkeypatch.setattr(apt, "package_of", lambda _: owner)
    with pytest.raises(ProvisionFailed) as caught:
        vendors.require_no_other_vendor(parts)
    assert advice in (caught.value.hint or "")


def test_snap_is_left_alone(monkeypatch):
    monkeypatch.setattr(apt, "package_of", lambda _: "")
    monkeypatch.setattr(vendors.shutil, "which", lambda _: "/snap/bin/docker")
    with pytest.raises(ProvisionFailed, match="snap"):
        vendors.require_no_other_vendor(["compose"])


@pytest.mark.parametrize("owner", ["docker-cli", "docker.io", ""])
def test_docker_of_the_distribution_or_of_no_package_is_completed(monkeypatch, owner):
    monkeypatch.setattr(apt, "package_of", lambda _: owner)
    monkeypatch.setattr(vendors.shutil, "which", lambda _: "/usr/local/bin/docker")
    vendors.require_no_other_vendor(["compose"])


@pytest.mark.parametrize(
    ("variable", "context", "other"),
    [
        ("", "unix:///var/run/docker.sock\n", None),
        ("", "tcp://build.test:2376\n", "tcp://build.test:2376"),
        ("ssh://build.test", "unix:///var/run/docker.sock\n", "ssh://build.test"),
        ("unix:///run/docker.sock", "tcp://build.test:2376\n", None),
        ("unix:///home/dev/docker.sock", "", "unix:///home/dev/docker.sock"),
        ("", EngineUnavailable("reading", "no docker program"), None),
    ],
)
def test_engine_of_another_host_is_recognised(monkeypatch, variable, context, other):
    def query(*_: str) -> str:
        if isinstance(context, str):
            return context
        raise context

    monkeypatch.setenv("DOCKER_HOST", variable)
    assert vendors.other_host(SimpleNamespace(query=query)) == other
