"""Docker from other vendors than the distribution: provision leaves it alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof import apt
from imageproof.errors import ImageproofError, ProvisionFailed
from imageproof.redaction import redact

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

# The packages of each part of Docker, by the package that installed the docker program.
VENDORS = {
    "docker-ce-cli": {  # Docker's own repository
        "docker client": "docker-ce-cli",
        "buildx": "docker-buildx-plugin",
        "compose": "docker-compose-plugin",
        "engine": "docker-ce",
    },
    "moby-cli": {  # Microsoft's repository
        "docker client": "moby-cli",
        "buildx": "moby-buildx",
        "compose": "moby-compose",
        "engine": "moby-engine",
    },
}
DEFAULT_HOST_REMEDY = (
    "correct that address, or `unset DOCKER_HOST DOCKER_CONTEXT` and `docker context use default` "
    "to use this machine's engine"
)
DEFAULT_HOSTS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")


def require_no_other_vendor(parts: Sequence[str]) -> None:
    """Raise ProvisionFailed if Docker comes from another vendor, whose packages conflict with ours.

    Args:
        parts: the missing parts, such as "compose".
    """
    owner = apt.package_of("docker")
    action = "installing the Docker engine"
    if packages := VENDORS.get(owner):
        names = " ".join(packages[part] for part in parts)
        raise ProvisionFailed(
            action,
            f"{owner} is installed; packages of the distribution would conflict with it",
            hint=f"install the missing parts from the same vendor: apt-get install {names}",
        )
    if owner == "podman-docker":
        raise ProvisionFailed(
            action,
            "the docker program is Podman's",
            hint="apt-get remove podman-docker, and run `./inv provision` again",
        )
    if (shutil.which("docker") or "").startswith("/snap/"):
        raise ProvisionFailed(
            action, "Docker comes from a snap", hint="snap refresh docker && snap start docker"
        )


def other_host(engine: Engine) -> str | None:
    """Return the engine that the docker client uses, None if it is this machine's default one."""
    if host := os.environ.get("DOCKER_HOST"):
        return None if host in DEFAULT_HOSTS else redact(host)
    try:
        host = engine.query(
            "reading the docker context",
            *("context", "inspect", "--format", "{{.Endpoints.docker.Host}}"),
        ).strip()
    except ImageproofError:  # no docker client
        return None
    return None if host in DEFAULT_HOSTS else redact(host)
