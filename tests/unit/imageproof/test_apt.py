"""Tests of the package manager, with the real apt and dpkg in a root of their own."""

from __future__ import annotations

import shutil

import pytest

from imageproof import apt
from imageproof.errors import ProvisionFailed

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="this machine has no apt")

PACKAGE = """\
Package: {name}
Version: 1
Architecture: all
Maintainer: Test <test@shop.test>
Description: a test
{fields}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an apt root whose repository has docker.io, and where containerd.io is installed."""
    for folder in ("lists/partial", "archives/partial", "repository", "dpkg/info"):
        (tmp_path / folder).mkdir(parents=True)
    status = PACKAGE.format(name="containerd.io", fields="Status: install ok installed\n")
    (tmp_path / "dpkg/status").write_text(status)
    fields = "Conflicts: containerd.io\nFilename: ./docker.deb\nSize: 1\nSHA256: 00\n"
    packages = PACKAGE.format(name="docker.io", fields=fields)
    (tmp_path / "repository/Packages").write_text(packages)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path}/repository ./\n")
    (tmp_path / "apt.conf").write_text(
        f"""
Dir::State "{tmp_path}";
Dir::State::status "{tmp_path}/dpkg/status";
Dir::State::lists "{tmp_path}/lists";
Dir::Cache "{tmp_path}";
Dir::Etc::sourcelist "{tmp_path}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Debug::NoLocking "true";
APT::Sandbox::User "root";
"""
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path / "dpkg"))
    return tmp_path


def test_installation_that_would_remove_a_package_is_refused(root):
    apt.update()
    with pytest.raises(ProvisionFailed, match=r"would remove containerd\.io") as caught:
        apt.install(["docker.io"], start_services=False)
    assert caught.value.hint is not None


def test_unknown_package_has_the_general_hint(root):
    apt.update()
    with pytest.raises(ProvisionFailed, match="apt-get failed") as caught:
        apt.install(["no-such-package"], start_services=False)
    assert "no-such-package" in "".join(caught.value.tail)


def test_program_leads_to_its_package(root, monkeypatch, tmp_path):
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert apt.package_of("docker") == ""
    (root / "dpkg/status").write_text(
        PACKAGE.format(name="docker-ce-cli", fields="Status: install ok installed\n")
    )
    (root / "dpkg/info/docker-ce-cli.list").write_text(f"{program}\n")
    (root / "dpkg/info/format").write_text("1\n")
    assert apt.package_of("docker") == "docker-ce-cli"
    assert apt.package_of("no-such-program") == ""
