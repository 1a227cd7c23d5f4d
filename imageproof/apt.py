"""Debian's package manager: this machine's mirrors and packages, and installation.

This project names no mirror. Every address comes from the machine's own apt configuration.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from imageproof.errors import NoSpace, ProvisionFailed

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def is_available() -> bool:
    """Return whether this machine has apt."""
    return shutil.which("apt-get") is not None


def distribution() -> tuple[str, str]:
    """Return the distribution and its suite, such as ("debian", "bookworm"), "" if unknown."""
    try:
        data = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return data.get("ID", ""), data.get("VERSION_CODENAME", "")


def mirror_lines(suite: str) -> list[str]:
    """Return this machine's mirrors as sources.list(5) lines for another Debian suite.

    Empty unless this machine is Debian; the caller's default applies then.
    """
    name, own_suite = distribution()
    if not is_available() or name != "debian" or not own_suite:
        return []
    columns = "$(REPO_URI) $(RELEASE)"
    filters = ["Component: main", "Created-By: Packages"]
    output = _run(["apt-get", "indextargets", "--format", columns, *filters]).stdout
    suites = {f"{own_suite}{part}": f"{suite}{part}" for part in ("", "-updates", "-security")}
    targets = (line.split() for line in output.splitlines())
    return sorted({f"deb {uri} {suites[own]} main" for uri, own in targets if own in suites})


def candidate_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version that apt would install of each package, without unknown packages."""
    versions: dict[str, str] = {}
    package = ""
    for line in _run(["apt-cache", "policy", *packages]).stdout.splitlines():
        if match := re.match(r"(\S+):$", line):
            package = match[1]
        elif (match := re.match(r"\s+Candidate: (\S+)", line)) and match[1] != "(none)":
            versions[package] = match[1]
    return versions


def update() -> None:
    """Update the package lists.

    Raises:
        ProvisionFailed: apt-get failed.
    """
    _run_checked("updating the package lists", ["apt-get", "-q", "update"])


def install(packages: Sequence[str], *, start_services: bool) -> None:
    """Install packages without their recommendations.

    Args:
        packages: the packages' names.
        start_services: let the packages start their services. Without an init system their
            scripts fail; RUNLEVEL=1 makes invoke-rc.d skip them (invoke-rc.d(8)).

    Raises:
        ProvisionFailed: apt-get failed.
        NoSpace: the disk is full.
    """
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    if not start_services:
        environment["RUNLEVEL"] = "1"
    command = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    _run_checked(f"installing {', '.join(packages)}", command, environment)


def _run_checked(
    action: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    result = _run(command, environment)
    if result.returncode == 0:
        return
    tail = (result.stdout + result.stderr).splitlines()
    if any("No space left" in line for line in tail):
        raise NoSpace(action, "no space is left on this machine", tail=tail)
    raise ProvisionFailed(
        action,
        "apt-get failed",
        tail=tail,
        hint="run `apt-get update` to check whether the machine's mirrors answer",
    )


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
    )
