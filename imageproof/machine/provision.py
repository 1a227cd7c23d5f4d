"""Make a bare Debian or Ubuntu machine able to run the line: as root, and only when asked.

Each step says what it does, and does nothing where the thing is there already. On any other
machine, or without root, nothing is changed: what is missing is named, and how to get it.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import apt
from imageproof.build import base_image
from imageproof.console import done, say, step
from imageproof.errors import EngineUnavailable, MachineError, ProvisionFailed
from imageproof.machine.doctor import ELSEWHERE, Prerequisite, examine

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# Debian 12's own engine (20.10) has no buildx; the next suite's runs on it unchanged.
ENGINE_SUITE = {"bookworm": "trixie"}
PACKAGES = {
    "debian": ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "iptables"),
    "ubuntu": ("docker.io", "docker-buildx", "docker-compose-v2", "iptables"),
}
SOURCE = Path("/etc/apt/sources.list.d/ops-engine.sources")
PIN = Path("/etc/apt/preferences.d/ops-engine")
ENGINE_LOG = Path("/var/log/docker.log")
ENGINE_START_SECONDS = 60


def provision(contract: Contract, engine: Engine) -> None:
    """Install the engine and its plugins, start it, get a base image, and what the tests need;
    whatever of it is missing.

    Raises MachineError where this may not or cannot be done here, ProvisionFailed where a step
    did not do what it should.
    """
    step("provision")
    missing = [item for item in examine(contract, engine) if not item.ok]
    if not missing:
        done("provision: nothing to do")
        return
    if os.geteuid() != 0 or not apt.present():
        if all(item.for_tests for item in missing):
            say(f"  for the tests only: {', '.join(item.problem or '' for item in missing)}")
            return
        _explain(missing)
    names = {item.name for item in missing}
    if names & {"docker client", "buildx", "compose"} or _engine_too_old(missing):
        _install_engine()
    if not _answers(engine):
        _start_engine(engine)
    if base_image.find_local(contract, engine) is None:
        _get_base(contract, engine)
    tools = [contract.tools[item.name].package for item in missing if item.for_tests]
    if tools:
        say(f"  apt-get install {' '.join(tools)}")
        apt.update()
        apt.install(tools, start_services=False)
    left = [item for item in examine(contract, engine) if not item.ok]
    if left:
        raise ProvisionFailed(
            "provisioning this machine",
            f"{left[0].name}: {left[0].problem}",
            tail=[f"{item.name}: {item.problem}" for item in left[1:]],
            hint=left[0].remedy
            if left[0].remedy and "provision" not in left[0].remedy
            else ELSEWHERE,
        )
    done("provision")


def _explain(missing: list[Prerequisite]) -> None:
    reason = "not run as root" if os.geteuid() else "no apt on this machine"
    raise MachineError(
        "provisioning this machine",
        f"nothing was changed ({reason}), and this is missing",
        tail=[f"{item.name}: {item.problem}" for item in missing],
        hint=f"`sudo ./inv provision`, or {ELSEWHERE}" if apt.present() else ELSEWHERE,
    )


def _engine_too_old(missing: list[Prerequisite]) -> bool:
    return any(item.name == "engine" and item.found for item in missing)


def _install_engine() -> None:
    distribution, suite = apt.release()
    packages = PACKAGES.get(distribution, PACKAGES["debian"])
    say("  apt-get update")
    apt.update()
    if suite in ENGINE_SUITE and _add_engine_suite(suite, ENGINE_SUITE[suite], packages):
        apt.update()
    unknown = sorted(set(packages) - set(apt.candidates(packages)))
    if unknown:
        raise ProvisionFailed(
            "installing the Docker engine",
            f"apt knows no {', '.join(unknown)}",
            hint=ELSEWHERE,
        )
    say(f"  apt-get install {' '.join(packages)}")
    apt.install(packages, start_services=_has_init())


def _add_engine_suite(own: str, suite: str, packages: tuple[str, ...]) -> bool:
    """Let the engine, and nothing else, come from the next suite, by the machine's own mirror.

    Whether anything was written.
    """
    mirror = next(
        (line.split()[1] for line in apt.mirrors(suite) if line.split()[2] == suite), None
    )
    if mirror is None:
        raise ProvisionFailed(
            "finding a mirror", f"apt is not configured for {own}", hint=ELSEWHERE
        )
    signed = f"Signed-By: {apt.KEYRING}\n" if apt.KEYRING.exists() else ""
    source = f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n{signed}"
    pinned = " ".join(package for package in packages if package.startswith("docker"))
    pin = (
        f"# Only the Docker engine comes from {suite}: `./inv provision` wrote this.\n"
        f"Package: *\nPin: release n={suite}\nPin-Priority: -1\n\n"
        f"Package: {pinned}\nPin: release n={suite}\nPin-Priority: 990\n"
    )
    wrote = False
    for path, text in ((SOURCE, source), (PIN, pin)):
        if not path.exists() or path.read_text() != text:
            say(f"  writing {path}")
            path.write_text(text)
            wrote = True
    return wrote


def _has_init() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _answers(engine: Engine) -> bool:
    try:
        return engine.versions()[1] is not None
    except EngineUnavailable:
        return False


def _start_engine(engine: Engine) -> None:
    """Start the daemon: by systemd where it runs, else directly, in a session of its own."""
    if _has_init():
        say("  systemctl enable --now docker")
        subprocess.run(["systemctl", "enable", "--now", "docker"], check=False)
        process = None
    else:
        # Debian's init script wants to raise limits that a container may not raise.
        say(f"  starting dockerd (no init system here); its log: {ENGINE_LOG}")
        with ENGINE_LOG.open("ab") as log:
            process = subprocess.Popen(
                ["dockerd"],
                # GOGC is for clients, which end at once (imageproof/cli/program.py): an engine lives long.
                env={name: value for name, value in os.environ.items() if name != "GOGC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    deadline = time.monotonic() + ENGINE_START_SECONDS
    while time.monotonic() < deadline:
        if _answers(engine):
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.2)
    log_text = ENGINE_LOG.read_text(errors="replace") if ENGINE_LOG.exists() else ""
    raise ProvisionFailed(
        "starting the Docker engine",
        "it does not answer",
        tail=log_text.splitlines(),
        hint=f"the whole log: {ENGINE_LOG} (or `journalctl -u docker`)",
    )


def _get_base(contract: Contract, engine: Engine) -> None:
    """Pull the default base; where that cannot be, install what makes one, and make it."""
    try:
        image = base_image.resolve(contract, engine)
    except base_image.BuilderMissing:
        distribution, _ = apt.release()
        # Other distributions lack the keys that Debian's packages are signed with.
        packages = ["mmdebstrap"] + (["debian-archive-keyring"] if distribution != "debian" else [])
        say(f"  apt-get install {' '.join(packages)}")
        apt.update()
        apt.install(packages, start_services=False)
        image = base_image.make(contract, engine)
    say(f"  base image: {image}")
