"""Faults and near misses of the compose.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.project.compose_file import ComposeFacts, Mount, PublishedPort, Service
from tests.support.sample_facts import Case, contract, service_contract

GOOD = Service(
    name="shop",
    image="shop/web:local",
    built=True,
    cap_drop=("ALL",),
    security_opt=("no-new-privileges:true",),
    read_only=True,
    memory=256 << 20,
    cpus=1.0,
    pids=64,
    ports=(PublishedPort("127.0.0.1", 8000, "8000"),),
    tmpfs=("/tmp:size=16m,noexec,nosuid,nodev",),
    log_driver="json-file",
    log_options={"max-size": "10m"},
)


def _with(**changes: Any) -> ComposeFacts:
    return ComposeFacts({"shop": replace(GOOD, **changes)})


def _mounted(source: str, kind: str = "bind", **changes: Any) -> ComposeFacts:
    return _with(mounts=(replace(Mount(kind, source, "/there"), **changes),))


def _published(address: str, target: int = 8000) -> ComposeFacts:
    return _with(ports=(PublishedPort(address, target),))


def _pulled(image: str) -> ComposeFacts:
    return _with(image=image, built=False)


SOCKETS = [
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/1000/docker.sock",
    "/run/systemd/private",
    "/srv/rootless/docker.sock",
    "/srv/../run/docker.sock",
    "/var/run",
    "/run/",
    "/run/containerd",
    "/",
    "/.",
    "//",
]
FOLDERS = [
    "/etc",
    "/etc/cron.d",
    "/srv/../etc",
    "/usr",
    "/usr/local/bin",
    "/lib/modules",
    "/home",
    "/home/me",
    "/home/me/.ssh",
    "/root",
    "/root/.docker/config.json",
    "/proc",
    "/sys/fs/cgroup",
    "/dev",
    "/dev/sda",
    "/var/lib/docker/volumes",
    "/var/run/dbus/system_bus_socket",
    "/var/log",
]
# Also if read-only.
READ_ONLY = [
    "/etc",
    "/etc/shadow",
    "/etc/ssl/private/shop.key",
    "/home/me/.aws",
    "/proc",
    "/usr/bin",
]

FAULTS: dict[str, list[tuple[Any, str]]] = {
    "compose.hardening": [
        *((_with(user=user), "runs as root") for user in ("root", "0", "0:0", "root:shop", "00")),
        (_with(privileged=True), "remove `privileged: true`"),
        (_with(cap_drop=()), "cap_drop: [ALL]"),
        (_with(cap_drop=("NET_RAW",)), "cap_drop: [ALL]"),
        (_with(cap_add=("SYS_ADMIN",)), "remove `cap_add: [SYS_ADMIN]`"),
        (_with(security_opt=()), "no-new-privileges:true"),
        (_with(security_opt=("no-new-privileges:false",)), "no-new-privileges:true"),
        *(
            (_with(security_opt=("no-new-privileges", option)), "is not confined")
            for option in (
                "seccomp=unconfined",
                "seccomp:unconfined",
                "apparmor:unconfined",
                "systempaths=unconfined",
                "label:disable",
            )
        ),
        *(
            (_with(namespaces={key: "host"}), f"remove `{key}: host`")
            for key in ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
        ),
        (_with(namespaces={"network_mode": "bridge"}), "remove `network_mode: bridge`"),
        (_with(cgroup_parent="/"), "remove `cgroup_parent: /`"),
        (_with(devices=("/dev/sda",)), "/dev/sda"),
        (_with(read_only=False), "read_only: true"),
        *((_mounted(source), "an engine's socket") for source in SOCKETS),
        (_mounted("/run/docker.sock", read_only=True), "an engine's socket"),
        *((_mounted(source), "a system folder of the host") for source in FOLDERS),
        *(
            (_mounted(source, read_only=True), "a system folder of the host")
            for source in READ_ONLY
        ),
        (_mounted("/srv/shop", propagation="rshared"), "remove `shared`"),
        (_with(memory=None), "mem_limit"),
        (_with(oom_kill_disable=True), "oom_kill_disable"),
        (_with(cpus=None), "cpus"),
        (_with(pids=None), "pids_limit"),
        (_with(log_options={}), "can fill the disk"),
        (_with(log_options={"max-size": "-1"}), "can fill the disk"),
        (_with(log_driver="", log_options={"max-file": "3"}), "can fill the disk"),
        (_with(tmpfs=("/tmp:size=1m,exec",)), "remove `exec`"),
    ],
    "compose.exposure": [
        *(
            (_published(address), "8000 on every address, expected one: `127.0.0.1:")
            for address in ("", "0.0.0.0", "::", "[::]", "0:0::0")
        ),
        (_published("127.0.0.1", 9000), "port 9000, its contract has 8000"),
    ],
    "compose.pinned": [
        (_pulled("valkey/valkey"), "changes with every push"),
        (_pulled("registry.invalid:5000/valkey"), "changes with every push"),
        (_pulled("valkey:latest"), "changes with every push"),
        (_pulled("valkey:8.1"), "whose tag can move"),
        (_with(image="shop/web:latest"), "give it a tag other than `latest`"),
        (_with(image="shop/web"), "give it a tag other than `latest`"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "compose.hardening": [
        _with(),
        _with(user="10001:10001"),
        _with(user="rooter", cap_drop=("all",)),
        _with(security_opt=("no-new-privileges", "seccomp=profile.json")),
        _with(security_opt=("no-new-privileges=true", "label=type:svirt_apache_t")),
        _with(namespaces={"network_mode": "none", "ipc": "private", "cgroup": "private"}),
        _with(namespaces={"network_mode": "service:web", "pid": "service:web"}),
        *(_with(log_driver=driver, log_options={}) for driver in ("local", "journald", "none")),
        _with(tmpfs=("/tmp", "/var/exec:noexec")),
        *(
            _mounted(source)
            for source in ("/srv/shop", "/home/me/shop/data", "/root/shop", "/usr/src/shop/data")
        ),
        *(_mounted(source) for source in ("/dev/null", "/dev/urandom", "/run/shop.sock")),
        *(
            _mounted(source, read_only=True)
            for source in ("/etc/localtime", "/etc/ssl/certs", "/etc/shop", "/lib/modules")
        ),
        _mounted("docker.sock", "volume"),
        _mounted("", "tmpfs"),
        _mounted("/etc", "cluster"),
        _mounted("/srv/shop", propagation="rslave"),
    ],
    "compose.exposure": [
        _with(),
        _with(ports=()),
        _published("10.1.2.3"),
        _published("::1"),
        _published("[::1]"),
        # a service outside of the contract
        Case(
            _published("127.0.0.1", 9000),
            contract(images={"till": service_contract(service="till")}),
        ),
        # two images of one service: the ports of both
        Case(
            _with(ports=(PublishedPort("127.0.0.1", 8000), PublishedPort("127.0.0.1", 9000))),
            contract(images={"shop": service_contract(), "old": service_contract(ports=[9000])}),
        ),
    ],
    "compose.pinned": [
        _with(),
        _with(image=""),
        _pulled("valkey:8.1@sha256:" + "0" * 64),
        _pulled("valkey:latest@sha256:" + "0" * 64),
        _pulled("registry.invalid:5000/valkey@sha256:" + "0" * 64),
    ],
}
