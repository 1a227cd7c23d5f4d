"""Debian's package manager: what the machine's own configuration says, and installing.

No mirror is named anywhere in this project: each address comes from the machine's own apt.
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


def present() -> bool:
    """Whether this machine installs its packages by apt."""
    return shutil.which("apt-get") is not None


def release() -> tuple[str, str]:
    """The distribution and its suite, as in ("debian", "bookworm"); empty where unknown."""
    try:
        data = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return data.get("ID", ""), data.get("VERSION_CODENAME", "")


def mirrors(suite: str) -> list[str]:
    """The machine's own mirrors, as sources.list(5) lines for a Debian suite.

    Empty where the machine is no Debian: the caller's own default then holds.
    """
    distribution, own = release()
    if not present() or distribution != "debian" or not own:
        return []
    answer = _run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", *_PACKAGES])
    wanted = {f"{own}{part}": f"{suite}{part}" for part in ("", "-updates", "-security")}
    pairs = (line.split() for line in answer.stdout.splitlines())
    return sorted({f"deb {uri} {wanted[name]} main" for uri, name in pairs if name in wanted})


_PACKAGES = ("Component: main", "Created-By: Packages")


def candidates(packages: Sequence[str]) -> dict[str, str]:
    """The version that apt would install of each package that it knows."""
    found: dict[str, str] = {}
    package = ""
    for line in _run(["apt-cache", "policy", *packages]).stdout.splitlines():
        if match := re.match(r"(\S+):$", line):
            package = match[1]
        elif (match := re.match(r"\s+Candidate: (\S+)", line)) and match[1] != "(none)":
            found[package] = match[1]
    return found


def update() -> None:
    """Read the package lists anew. Raises ProvisionFailed."""
    _must("reading the package lists", ["apt-get", "-q", "update"])


def install(packages: Sequence[str], *, start_services: bool) -> None:
    """Install packages without their recommendations. Raises ProvisionFailed or NoSpace.

    Without an init system a package's own start script can only fail: then none is started
    (RUNLEVEL=1 makes invoke-rc.d hold back, invoke-rc.d(8)).
    """
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    if not start_services:
        environment["RUNLEVEL"] = "1"
    command = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    _must(f"installing {', '.join(packages)}", command, environment)


def _must(
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
        hint="`apt-get update` by hand shows whether the machine's mirrors answer",
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
