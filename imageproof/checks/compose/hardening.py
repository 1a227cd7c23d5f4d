"""compose.hardening: no service has a right, a mount or a resource beyond its needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.compose.host_paths import exposes_host, holds_socket

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.compose_file import ComposeFacts, Service

DEFAULT_LOG_DRIVER = "json-file"
# Compose keys that can put a service into a namespace of the host, with their CIS numbers.
HOST_NAMESPACES = {"network_mode": "5.10", "pid": "5.16", "ipc": "5.17", "uts": "5.21"}
HOST_NAMESPACES |= {"userns_mode": "5.31", "cgroup": "5.25"}
UNCONFINED = re.compile(r"(?:seccomp|apparmor|systempaths):unconfined|label:disable")


@check(
    "compose.hardening",
    "compose",
    title="No service has a right, a mount or a resource beyond its needs",
    why="An intruder has every right that the compose file grants. The defaults grant fourteen "
    "capabilities, a writable root, and all memory, processors and process ids of the host.",
    remedy="Write the line that the finding names under the service, or once under an anchor "
    "(`x-service: &service`) that every service merges (`<<: *service`).",
    reference="CIS Docker Benchmark 1.6, section 5; "
    "https://docs.docker.com/reference/compose-file/services/",
)
def hardening(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for each excess; the message has the CIS number and the line to write."""
    for name, service in facts.services.items():
        for problems in (_privileges, _namespaces, _mounts, _limits):
            for problem in problems(service):
                yield Finding(f"{name} {problem}", file=contract.compose)
        for path, _, options in (entry.partition(":") for entry in service.tmpfs):
            if "exec" in options.split(","):
                yield Finding(
                    f"{name} can execute files that it writes to {path}: "
                    "remove `exec` from its tmpfs",
                    file=contract.compose,
                    warning=True,
                )


def _privileges(service: Service) -> Iterator[str]:
    if re.fullmatch(r"(?:root|0+)(?::.*)?", service.user):
        yield f'runs as root (4.1): remove `user: "{service.user}"`'
    if service.privileged:
        yield "is privileged (5.5): remove `privileged: true`"
        return  # a privileged service has every right below
    if "ALL" not in {name.upper() for name in service.cap_drop}:
        yield "keeps the default capabilities (5.4): add `cap_drop: [ALL]`"
    if service.cap_add:
        yield f"adds capabilities (5.4): remove `cap_add: [{', '.join(service.cap_add)}]`"
    options = {option.replace("=", ":") for option in service.security_opt}
    if not options & {"no-new-privileges", "no-new-privileges:true"}:
        yield 'can gain privileges (5.26): add `security_opt: ["no-new-privileges:true"]`'
    for option in sorted(options):
        if UNCONFINED.fullmatch(option):
            yield f"is not confined (5.2, 5.3, 5.22): remove `{option}`"
    if service.devices:
        yield f"has host devices (5.18): remove {', '.join(service.devices)}"


def _namespaces(service: Service) -> Iterator[str]:
    for key, number in HOST_NAMESPACES.items():
        if service.namespaces.get(key) == "host":
            yield f"shares a namespace of the host ({number}): remove `{key}: host`"
    if service.namespaces.get("network_mode") == "bridge":
        yield "shares the default network with other stacks (5.30): remove `network_mode: bridge`"
    if service.cgroup_parent:
        yield f"leaves the engine's cgroup (5.25): remove `cgroup_parent: {service.cgroup_parent}`"


def _mounts(service: Service) -> Iterator[str]:
    if not service.read_only:
        yield "has a writable root (5.13): add `read_only: true`, and a tmpfs for its own files"
    for mount in service.mounts:
        if mount.kind != "bind":
            continue
        if holds_socket(mount.source):
            yield (
                "has an engine's socket, which gives root on the host (5.32): "
                f"remove the mount {mount.source}"
            )
        elif exposes_host(mount.source, read_only=mount.read_only):
            yield f"has a system folder of the host (5.6): remove the mount {mount.source}"
        elif mount.propagation in ("shared", "rshared"):
            yield f"can mount on the host (5.20): remove `shared` from the mount {mount.source}"


def _limits(service: Service) -> Iterator[str]:
    if service.memory is None:
        yield "has no memory limit (5.11): add `mem_limit: 256m`"
    if service.oom_kill_disable:
        yield "survives its memory limit (5.11): remove `oom_kill_disable: true`"
    if service.cpus is None:
        yield "has no processor limit (5.12): add `cpus: 1.0`"
    if service.pids is None:
        yield "has no process limit (5.29): add `pids_limit: 64`"
    # Every other driver rotates its files or writes none (Docker docs: logging drivers).
    size = service.log_options.get("max-size", "-1")  # negative: no limit
    if (service.log_driver or DEFAULT_LOG_DRIVER) == DEFAULT_LOG_DRIVER and size.startswith("-"):
        yield (
            "can fill the disk with its log: add `logging: {driver: json-file, options: "
            '{max-size: 10m, max-file: "3"}}`'
        )
