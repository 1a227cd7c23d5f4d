"""Debian's package manager: this machine's mirrors, versions of packages, and installation.

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
    """Return the distribution and its suite, such as ("debian", "bookworm"), each "" if unknown."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return release.get("ID", ""), release.get("VERSION_CODENAME", "")


def mirror_lines(suite: str) -> list[str]:
    """Return this machine's mirrors as sources.list(5) lines for another Debian suite.

    The list is empty unless this machine is Debian.
    """
    distribution_id, own_suite = distribution()
    if not is_available() or distribution_id != "debian" or not own_suite:
        return []
    columns = "$(REPO_URI) $(RELEASE)"
    filters = ["Component: main", "Created-By: Packages"]
    output = _run(["apt-get", "indextargets", "--format", columns, *filters]).stdout
    suites = {f"{own_suite}{end}": f"{suite}{end}" for end in ("", "-updates", "-security")}
    targets = (line.split() for line in output.splitlines())
    return sorted({f"deb {uri} {suites[own]} main" for uri, own in targets if own in suites})


def candidate_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of each package that apt would install; unknown packages are left out."""
    versions: dict[str, str] = {}
    package = ""
    for line in _run(["apt-cache", "policy", *packages]).stdout.splitlines():
        if heading := re.match(r"(\S+):$", line):
            package = heading[1]
        elif (candidate := re.match(r"\s+Candidate: (\S+)", line)) and candidate[1] != "(none)":
            versions[package] = candidate[1]
    return versions


def update() -> None:
    """Update the package lists.

    Raises:
        ProvisionFailed: apt-get failed.
    """
    _run_checked("updating the package lists", ["apt-get", "-q", "update"])


def install(packages: Sequence[str], *, start_services: bool) -> None:
    """Install packages without their recommendations. No installed package is removed.

    Args:
        packages: the packages' names.
        start_services: let the packages start their services, which fails without an init system.

    Raises:
        ProvisionFailed: apt-get failed.
        NoSpace: the disk is full.
    """
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    if not start_services:
        environment["RUNLEVEL"] = "1"  # makes invoke-rc.d(8) skip the services' scripts
    options = ("-y", "--no-install-recommends", "--no-remove")
    command = ["apt-get", "-q", "install", *options, *packages]
    _run_checked(f"installing {', '.join(packages)}", command, environment)


def _run_checked(
    action: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    result = _run(command, environment)
    if result.returncode == 0:
        return
    output = result.stdout + result.stderr
    tail = output.splitlines()
    if "No space left" in output:
        raise NoSpace(
            action,
            "no space is left on this machine",
            tail=tail,
            hint="`df -h` shows the full disk; `apt-get clean` removes downloaded packages",
        )
    if removals := _removals(output):
        raise ProvisionFailed(
            action,
            f"apt would remove {', '.join(removals)}; nothing was changed",
            tail=tail,
            hint="they conflict: install what is missing from the same vendor, or remove these",
        )
    raise ProvisionFailed(
        action,
        "apt-get failed",
        tail=tail,
        hint="run `apt-get update` to check whether the machine's mirrors answer",
    )


def _removals(output: str) -> list[str]:
    """Return the packages that apt-get would remove, according to its output."""
    heading = re.search(
        r"^The following packages will be REMOVED:\n((?: .*\n)*)", output, re.MULTILINE
    )
    return heading[1].split() if heading else []


def package_of(program: str) -> str:
    """Return the package that installed a program; "" if no package did, or without dpkg."""
    path = shutil.which(program)
    if path is None or not shutil.which("dpkg-query"):
        return ""
    for name in (path, os.path.realpath(path)):  # with merged /usr, dpkg may know either
        owner = _run(["dpkg-query", "--search", name]).stdout.partition(":")[0]
        if owner:
            return owner
    return ""


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
