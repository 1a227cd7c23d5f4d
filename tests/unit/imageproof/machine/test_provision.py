"""Tests of provisioning: which parts are installed, apt's sources, the engine's environment."""

from __future__ import annotations

import re

import pytest

from imageproof import apt
from imageproof.errors import MachineError, ProvisionFailed
from imageproof.machine import provision, vendors
from imageproof.machine.doctor import Prerequisite

ALL_PARTS = ["buildx", "compose", "docker client", "engine"]


@pytest.mark.parametrize(
    ("missing", "answers", "has_daemon", "parts"),
    [
        ({"docker client": ""}, False, False, ["docker client", "engine"]),
        ({"compose": ""}, True, True, ["compose"]),
        ({"compose": ""}, True, False, ["compose"]),  # no second engine beside the one that answers
        ({"buildx": "0.9"}, True, True, ["buildx"]),
        ({"engine": ""}, False, True, []),  # it is installed, and only has to start
        ({"engine": ""}, False, False, ["engine"]),
        ({"engine": "20.10"}, True, True, ALL_PARTS),
        ({"base image": ""}, True, True, []),
        ({"redis": ""}, True, True, []),
    ],
)
def test_only_missing_parts_are_installed(monkeypatch, missing, answers, has_daemon, parts):
    items = [Prerequisite(name, found, "a problem") for name, found in missing.items()]
    monkeypatch.setattr(provision, "_answers", lambda _: answers)
    monkeypatch.setattr(vendors, "other_host", lambda _: None)
    monkeypatch.setattr(provision.shutil, "which", lambda _: has_daemon or None)
    assert sorted(provision._missing_parts(None, items)) == sorted(parts)


def test_engine_of_another_host_is_not_installed_here(monkeypatch):
    monkeypatch.setattr(provision, "_answers", lambda _: False)
    monkeypatch.setattr(vendors, "other_host", lambda _: "ssh://build.test")
    with pytest.raises(MachineError, match=r"ssh://build.test, which does not answer"):
        provision._missing_parts(None, [Prerequisite("engine", "", "no engine")])


@pytest.fixture
def files(monkeypatch, tmp_path):
    monkeypatch.setattr(provision, "SOURCE_FILE", tmp_path / "engine.sources")
    monkeypatch.setattr(provision, "PIN_FILE", tmp_path / "engine")
    monkeypatch.setattr(apt, "distribution", lambda: ("debian", "bookworm"))
    return provision.SOURCE_FILE, provision.PIN_FILE


def test_engines_suite_comes_with_its_security_updates(monkeypatch, files):
    lines = [
        "deb http://mirror.test/debian trixie main",
        "deb http://mirror.test/debian trixie-updates main",
        "deb http://security.test/debian trixie-security main",
    ]
    monkeypatch.setattr(apt, "mirror_lines", lambda _: lines)
    assert provision._add_engine_suite() is True
    assert provision._add_engine_suite() is False  # nothing changed
    source, pin = (path.read_text() for path in files)
    stanzas = re.findall(r"URIs: (\S+)\nSuites: (\S+)", source)
    assert stanzas == [
        ("http://mirror.test/debian", "trixie"),
        ("http://mirror.test/debian", "trixie-updates"),
        ("http://security.test/debian", "trixie-security"),
    ]
    pins = re.findall(r"Package: (.+)\nPin: release n=(\S+)\nPin-Priority: (\S+)", pin)
    for suite in ("trixie", "trixie-updates", "trixie-security"):
        assert ("*", suite, "-1") in pins
        assert ("docker-cli docker-buildx docker-compose docker.io", suite, "990") in pins


def test_suite_is_not_added_if_apt_does_not_name_the_own_one(monkeypatch, files):
    monkeypatch.setattr(apt, "mirror_lines", lambda _: [])
    with pytest.raises(ProvisionFailed, match="not configured for bookworm"):
        provision._add_engine_suite()
    monkeypatch.setattr(apt, "distribution", lambda: ("debian", "trixie"))
    assert provision._add_engine_suite() is False


def test_engine_does_not_inherit_the_users_tokens(monkeypatch, tmp_path):
    seen = tmp_path / "environment"
    program = tmp_path / "dockerd"
    program.write_text(f"#!/bin/sh\nenv > {seen}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("API_TOKEN", "secret-token")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setattr(provision, "_has_systemd", lambda: False)
    monkeypatch.setattr(provision, "ENGINE_LOG", tmp_path / "log")
    daemon = provision._launch_daemon()
    assert daemon is not None
    assert daemon.wait(30) == 0
    text = seen.read_text()
    assert "secret-token" not in text
    assert "HTTPS_PROXY=http://proxy.test:3128" in text
