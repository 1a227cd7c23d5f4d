"""The compose file: what it gives a service beyond what it needs, and what it leaves open."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.compose.host_paths import gives_away, holds_socket

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.compose_file import ComposeFacts, Service

CIS = "CIS Docker Benchmark 1.6, section 5"
DEFAULT_DRIVER = "json-file"
# Namespaces of the machine that a service may be put into: key of the compose file, number of CIS.
HOST = {"network_mode": "5.10", "pid": "5.16", "ipc": "5.17", "uts": "5.21"}
HOST |= {"userns_mode": "5.31", "cgroup": "5.25"}
UNCONFINED = re.compile(r"(?:seccomp|apparmor|systempaths):unconfined|label:disable")


@check(
    "compose.hardening",
    "compose",
    title="No service has a right, a mount or a resource beyond its needs",
    why="What the compose file grants is what an intruder has. The defaults grant fourteen "
    "capabilities, a writable root, and all memory, processors and process ids of the machine.",
    remedy="The finding names the line: put it under the service, or once under an anchor "
    "(`x-service: &service`) that every service merges (`<<: *service`).",
    reference=f"{CIS}; https://docs.docker.com/reference/compose-file/services/",
)
def hardening(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for each thing that a service has or lacks; the message ends with what to write."""
    for name, service in facts.services.items():
        for said in (*_rights(service), *_shared(service), *_places(service), *_bounds(service)):
            yield Finding(f"{name} {said}", file=contract.compose)
        for path, _, options in (entry.partition(":") for entry in service.tmpfs):
            if "exec" in options.split(","):
                said = f"may run what it writes to {path}: remove `exec` of its tmpfs"
                yield Finding(f"{name} {said}", file=contract.compose, warning=True)


def _rights(service: Service) -> Iterator[str]:
    if re.fullmatch(r"(?:root|0+)(?::.*)?", service.user):
        yield f'runs as root (4.1): remove `user: "{service.user}"`'
    if service.privileged:
        yield "is privileged (5.5): remove `privileged: true`"
        return  # it has every right there is
    if "ALL" not in {name.upper() for name in service.cap_drop}:
        yield "keeps capabilities (5.4): `cap_drop: [ALL]`"
    if service.cap_add:
        yield f"is given capabilities (5.4): remove `cap_add: [{', '.join(service.cap_add)}]`"
    options = {option.replace("=", ":") for option in service.security}
    if not options & {"no-new-privileges", "no-new-privileges:true"}:
        yield 'may gain privileges (5.26): `security_opt: ["no-new-privileges:true"]`'
    for option in sorted(options):
        if UNCONFINED.fullmatch(option):
            yield f"is not confined (5.2, 5.3, 5.22): remove `{option}`"
    if service.devices:
        yield f"is given devices (5.18): remove {', '.join(service.devices)}"


def _shared(service: Service) -> Iterator[str]:
    for key, value in service.namespaces.items():
        if value == "host":
            yield f"shares a namespace of the machine ({HOST[key]}): remove `{key}: host`"
    if service.namespaces.get("network_mode") == "bridge":
        yield "is in one network with strangers (5.30): remove `network_mode: bridge`"
    if service.cgroup_parent:
        yield f"leaves the engine's cgroup (5.25): remove `cgroup_parent: {service.cgroup_parent}`"


def _places(service: Service) -> Iterator[str]:
    if not service.read_only:
        yield "has a writable root (5.13): `read_only: true`, and a tmpfs where it writes"
    for mount in service.mounts:
        if mount.kind != "bind":
            continue
        if holds_socket(mount.source):
            yield f"has an engine's socket, which is root (5.32): remove the mount {mount.source}"
        elif gives_away(mount.source, read_only=mount.read_only):
            yield f"has a folder of the machine (5.6): remove the mount {mount.source}"
        elif mount.propagation in ("shared", "rshared"):
            yield f"mounts on the machine (5.20): the mount {mount.source}, without `shared`"


def _bounds(service: Service) -> Iterator[str]:
    if service.memory is None:
        yield "may take all memory (5.11): `mem_limit: 256m`"
    if service.unkillable:
        yield "outlives its memory limit (5.11): remove `oom_kill_disable: true`"
    if service.cpus is None:
        yield "may take every processor (5.12): `cpus: 1.0`"
    if service.pids is None:
        yield "may take every process id (5.29): `pids_limit: 64`"
    # Every other driver rotates by itself, or keeps no file (Docker docs: logging drivers).
    size = service.log_options.get("max-size", "-1")
    if (service.log_driver or DEFAULT_DRIVER) == DEFAULT_DRIVER and size.startswith("-"):
        yield (
            "logs until the disk is full: `logging: {driver: json-file, options: "
            '{max-size: 10m, max-file: "3"}}`'
        )


@check(
    "compose.exposure",
    "compose",
    title="Each published port is bound to an address, and is one of the contract's",
    why="A port without an address is open on every network of the machine, past its firewall: "
    "Docker writes its own rules.",
    remedy='ports: ["127.0.0.1:8000:8000"], or a variable whose default is the loopback.',
    reference=f"{CIS}: 5.9, 5.14; https://docs.docker.com/engine/network/"
    "packet-filtering-firewalls/",
)
def exposure(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for ports on all addresses, and for those that the image's contract does not have."""
    declared: dict[str, set[int]] = {}
    for image in contract.images.values():
        declared.setdefault(image.service, set()).update(image.ports)
    for name, service in facts.services.items():
        for port in service.ports:
            line = f"127.0.0.1:{port.published}:{port.target}"
            if _is_everywhere(port.address):
                yield Finding(
                    f"{name} publishes port {port.target} on every address: `{line}`",
                    file=contract.compose,
                    measured=port.address or "no address",
                    bound="127.0.0.1",
                )
            elif port.target not in declared.get(name, {port.target}):
                yield Finding(
                    f"{name} publishes port {port.target}, which is not in its contract: remove it",
                    file=contract.compose,
                    measured=port.target,
                )


def _is_everywhere(address: str) -> bool:
    if not address:
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_unspecified
    except ValueError:
        return False


@check(
    "compose.pinned",
    "compose",
    title="Each image that is not built here is named by its digest",
    why="A tag is moved by whoever owns it: what runs tomorrow is not what was tested today.",
    remedy="image: NAME:TAG@sha256:..., as `docker buildx imagetools inspect NAME:TAG` shows it.",
    reference=f"{CIS}: 5.28; https://docs.docker.com/build/building/best-practices/"
    "#pin-base-image-versions",
)
def pinned(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for no tag and for `latest`; warn of a tag without digest, unless it is built here."""
    for name, service in facts.services.items():
        reference, at, _ = service.image.partition("@")
        if at or not reference:
            continue  # Compose names what it builds by itself
        tag = reference.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            said = "a tag of its own" if service.built else "a tag and its digest"
            yield Finding(
                f"{name} runs {reference}, whatever that is today: give it {said}",
                file=contract.compose,
            )
        elif not service.built:
            yield Finding(
                f"{name} runs {reference}, whose tag may move: give it its digest",
                file=contract.compose,
                warning=True,
            )
