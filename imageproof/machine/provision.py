"""Provisioning of a bare Debian or Ubuntu machine: engine, base image, programs for the tests.

Each step prints what it does, and does nothing if the result is already there. On other machines,
or without root, nothing is changed: the error lists what is missing and how to install it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from imageproof import apt
from imageproof.build import base_image
from imageproof.console import done, say, step
from imageproof.errors import EngineUnavailable, MachineError, ProvisionFailed
from imageproof.machine import vendors
from imageproof.machine.doctor import INSTALL_DOCKER, REMEDY, Prerequisite, examine

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# The Debian suite to take the engine from, by this machine's suite. Debian 12's own engine (20.10)
# has no buildx; the engine of the next suite runs on Debian 12 unchanged.
ENGINE_SUITES = {"bookworm": "trixie"}
# Packages of each prerequisite, by distribution.
ENGINE_PACKAGES = {
    "debian": {
        "docker client": ("docker-cli",),
        "buildx": ("docker-buildx",),
        "compose": ("docker-compose",),
        "engine": ("docker.io", "iptables"),
    },
    "ubuntu": {
        "docker client": ("docker.io",),
        "buildx": ("docker-buildx",),
        "compose": ("docker-compose-v2",),
        "engine": ("docker.io", "iptables"),
    },
}
# What the engine may inherit: `./inv provision` is often run with tokens in the environment.
ENGINE_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
SOURCE_FILE = Path("/etc/apt/sources.list.d/ops-engine.sources")
PIN_FILE = Path("/etc/apt/preferences.d/ops-engine")
ENGINE_LOG = Path("/var/log/docker.log")
ENGINE_START_SECONDS = 60
POLL_SECONDS = 0.2


def provision(contract: Contract, engine: Engine) -> None:
    """Install and start the engine with its plugins, get a base image, install test programs.

    Only missing parts are installed.

    Raises:
        MachineError: this machine has no apt, or the user is not root.
        ProvisionFailed: a step failed.
    """
    step("provision")
    if os.geteuid() == 0 and apt.is_available() and SOURCE_FILE.exists():
        _add_engine_suite()  # an earlier version wrote it without the suite's security updates
    missing = _missing(contract, engine)
    if not missing:
        done("provision: nothing to do")
        return
    if os.geteuid() != 0 or not apt.is_available():
        if not all(item.for_tests for item in missing):
            _refuse(missing)
        say(f"  missing, for the tests only: {', '.join(item.problem or '' for item in missing)}")
        return
    _install_missing(contract, engine, missing)
    if remaining := _missing(contract, engine):
        first = remaining[0]
        raise ProvisionFailed(
            "provisioning this machine",
            f"{first.name}: {first.problem}",
            tail=[f"{item.name}: {item.problem}" for item in remaining[1:]],
            hint=first.remedy if first.remedy and first.remedy != REMEDY else INSTALL_DOCKER,
        )
    done("provision")


def _missing(contract: Contract, engine: Engine) -> list[Prerequisite]:
    return [item for item in examine(contract, engine) if not item.ok]


def _refuse(missing: list[Prerequisite]) -> NoReturn:
    reason = "you are not root" if os.geteuid() else "this machine has no apt"
    advice = "`sudo ./inv provision`, or " if apt.is_available() else ""
    raise MachineError(
        "provisioning this machine",
        f"{reason}; nothing was changed, and this is missing:",
        tail=[f"{item.name}: {item.problem}" for item in missing],
        hint=f"{advice}{INSTALL_DOCKER}",
    )


def _install_missing(contract: Contract, engine: Engine, missing: list[Prerequisite]) -> None:
    parts = _missing_parts(engine, missing)
    if parts:
        vendors.require_no_other_vendor(parts)
        _install_engine(parts)
    if not _answers(engine):
        _start_engine(engine)
    if base_image.find_local(contract, engine) is None:
        _get_base_image(contract, engine)
    packages = [contract.tools[item.name].package for item in missing if item.for_tests]
    if packages:
        say(f"  apt-get install {' '.join(packages)}")
        apt.update()
        apt.install(packages, start_services=False)


def _missing_parts(engine: Engine, missing: list[Prerequisite]) -> list[str]:
    """Return the parts of Docker to install: no second engine beside one that answers."""
    parts = [item.name for item in missing if item.name in ENGINE_PACKAGES["debian"]]
    is_too_old = any(item.name == "engine" and item.found for item in missing)
    if is_too_old:
        return list(ENGINE_PACKAGES["debian"])
    if _answers(engine):
        return parts
    if host := vendors.other_host(engine):
        raise MachineError(
            "provisioning this machine",
            f"the docker client uses the engine of {host}, which does not answer",
            hint=vendors.DEFAULT_HOST_REMEDY,
        )
    needs_engine = "docker client" in parts or not shutil.which("dockerd")
    return sorted({*parts, "engine"}) if needs_engine else [p for p in parts if p != "engine"]


def _install_engine(parts: Sequence[str]) -> None:
    distribution, _ = apt.distribution()
    by_part = ENGINE_PACKAGES.get(distribution, ENGINE_PACKAGES["debian"])
    packages = sorted({package for part in parts for package in by_part[part]})
    say("  apt-get update")
    apt.update()
    if _add_engine_suite():
        apt.update()
    unknown = sorted(set(packages) - set(apt.candidate_versions(packages)))
    if unknown:
        raise ProvisionFailed(
            "installing the Docker engine",
            f"apt has no package {', '.join(unknown)}",
            hint=INSTALL_DOCKER,
        )
    say(f"  apt-get install {' '.join(packages)}")
    apt.install(packages, start_services=_has_systemd())


def _add_engine_suite() -> bool:
    """Add a later suite to apt, for the engine's packages only, if this suite's engine is too old.

    That suite's security updates come with it, if this machine's own suite has them.

    Returns:
        Whether a file was written.
    """
    _, own_suite = apt.distribution()
    if own_suite not in ENGINE_SUITES:
        return False
    suite = ENGINE_SUITES[own_suite]
    mirrors = [line.split()[1:3] for line in apt.mirror_lines(suite)]
    if suite not in [name for _, name in mirrors]:
        raise ProvisionFailed(
            "looking for this machine's mirror",
            f"apt is not configured for {own_suite}",
            hint=INSTALL_DOCKER,
        )
    signed_by = f"Signed-By: {apt.KEYRING}\n" if apt.KEYRING.exists() else ""
    sources = [
        f"Types: deb\nURIs: {address}\nSuites: {name}\nComponents: main\n{signed_by}"
        for address, name in mirrors
    ]
    packages = (package for group in ENGINE_PACKAGES["debian"].values() for package in group)
    docker_packages = " ".join(name for name in packages if name.startswith("docker"))
    pins = [
        f"Package: {pattern}\nPin: release n={name}\nPin-Priority: {priority}\n"
        for name in sorted({name for _, name in mirrors})
        for pattern, priority in (("*", -1), (docker_packages, 990))
    ]
    pins.insert(0, f"# Written by `./inv provision`: only the Docker engine comes from {suite}.")
    written = False
    for path, text in ((SOURCE_FILE, "\n".join(sources)), (PIN_FILE, "\n".join(pins))):
        if not path.exists() or path.read_text() != text:
            say(f"  writing {path}")
            path.write_text(text)
            written = True
    return written


def _has_systemd() -> bool:
    """Return whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _answers(engine: Engine) -> bool:
    try:
        return engine.versions()[1] is not None
    except EngineUnavailable:
        return False


def _start_engine(engine: Engine) -> None:
    """Start the daemon, and wait until it answers."""
    daemon = _launch_daemon()
    deadline = time.monotonic() + ENGINE_START_SECONDS
    while time.monotonic() < deadline:
        if _answers(engine):
            return
        if daemon is not None and daemon.poll() is not None:  # it has ended
            break
        time.sleep(POLL_SECONDS)
    log_text = ENGINE_LOG.read_text(errors="replace") if ENGINE_LOG.exists() else ""
    raise ProvisionFailed(
        "starting the Docker engine",
        "it does not answer",
        tail=log_text.splitlines(),
        hint=f"read the whole log: {ENGINE_LOG}, or `journalctl -u docker`",
    )


def _launch_daemon() -> subprocess.Popen[bytes] | None:
    """Start the daemon with systemd, or on a machine without it directly, in a session of its own.

    Returns:
        The daemon's process; None if systemd started it.
    """
    if _has_systemd():
        say("  systemctl enable --now docker")
        subprocess.run(["systemctl", "enable", "--now", "docker"], check=False)
        return None
    # Not by Debian's init script: it raises limits, which a container may not do.
    say(f"  starting dockerd (this machine has no init system); its log: {ENGINE_LOG}")
    environment = {name: os.environ[name] for name in ENGINE_ENVIRONMENT if name in os.environ}
    with ENGINE_LOG.open("ab") as log:
        return subprocess.Popen(
            ["dockerd"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _get_base_image(contract: Contract, engine: Engine) -> None:
    """Pull the base image; if that fails, install mmdebstrap and make it."""
    try:
        image = base_image.resolve(contract, engine)
    except base_image.MmdebstrapMissing:
        distribution, _ = apt.distribution()
        # Other distributions lack the keys that sign Debian's packages.
        packages = ["mmdebstrap"] + (["debian-archive-keyring"] if distribution != "debian" else [])
        say(f"  apt-get install {' '.join(packages)}")
        apt.update()
        apt.install(packages, start_services=False)
        image = base_image.make(contract, engine)
    say(f"  base image: {image}")
