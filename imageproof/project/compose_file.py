"""Facts of the compose file: each service as Compose reads it, with the file's own defaults.

Without .env and the user's variables, so that the file is judged the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

_API_SOCKET = "/var/run/docker.sock"  # what `use_api_socket: true` mounts


@dataclass(frozen=True)
class Mount:
    """Mount of a service; `kind` is `bind` for every file or folder of the host."""

    kind: str
    source: str
    target: str
    read_only: bool = False
    propagation: str = ""


@dataclass(frozen=True)
class PublishedPort:
    """Port published on the host; `address` is empty for all of the host's addresses."""

    address: str
    target: int
    published: str = ""


@dataclass(frozen=True)
class Service:
    """Service of the compose file. `memory` in bytes; None: no limit."""

    name: str
    image: str = ""
    built: bool = False
    user: str = ""
    cap_drop: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    read_only: bool = False
    privileged: bool = False
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    oom_kill_disable: bool = False
    namespaces: Mapping[str, str] = field(default_factory=dict)  # network_mode, pid, ipc, ...
    cgroup_parent: str = ""
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    log_driver: str = ""
    log_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComposeFacts:
    """Services of the compose file by name, those of all profiles."""

    services: Mapping[str, Service]


def read_compose_file(contract: Contract, engine: Engine) -> ComposeFacts:
    """Read the contract's compose file.

    Raises:
        ConfigurationError: Compose rejects the file.
    """
    engine = engine.with_compose_file(contract.compose_file)
    model = engine.compose_model(interpolate=True, defaults=True)
    services = model.get("services") or {}
    return ComposeFacts(
        # A provider is a program that Compose calls; it has no container.
        {n: read_service(n, keys, model) for n, keys in services.items() if "provider" not in keys}
    )


NAMESPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")


def read_service(name: str, keys: Mapping[str, Any], model: Mapping[str, Any]) -> Service:
    """Convert a service of Compose's JSON.

    Args:
        name: Name of the service.
        keys: The service's table.
        model: Whole output of `docker compose config`; it defines volumes, secrets and configs.
    """
    limits = ((keys.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    logging = keys.get("logging") or {}
    return Service(
        name=name,
        image=keys.get("image") or "",
        built="build" in keys,
        user=str(keys.get("user") or ""),
        cap_drop=_texts(keys.get("cap_drop")),
        cap_add=_texts(keys.get("cap_add")),
        security_opt=_texts(keys.get("security_opt")),
        read_only=bool(keys.get("read_only")),
        privileged=bool(keys.get("privileged")),
        memory=_number(keys.get("mem_limit") or limits.get("memory"), int),
        cpus=_cpus(keys, limits),
        pids=_number(keys.get("pids_limit") or limits.get("pids"), int),
        oom_kill_disable=bool(keys.get("oom_kill_disable")),
        namespaces={key: str(keys[key]) for key in NAMESPACES if keys.get(key)},
        cgroup_parent=keys.get("cgroup_parent") or "",
        mounts=tuple(_mounts(keys, model)),
        tmpfs=_texts(keys.get("tmpfs")),
        devices=tuple(map(_device, keys.get("devices") or ()))
        + _texts(keys.get("device_cgroup_rules")),
        ports=tuple(map(_published, keys.get("ports") or ())),
        log_driver=logging.get("driver") or "",
        log_options=logging.get("options") or {},
    )


def _texts(values: Any) -> tuple[str, ...]:
    """Convert a list, or a single string, which Compose accepts as a list of one."""
    return (values,) if isinstance(values, str) else tuple(map(str, values or ()))


def _number(value: Any, kind: type) -> Any:
    """Convert a limit; Docker writes 0 or -1 for no limit."""
    return kind(value) if value and float(value) > 0 else None


def _cpus(keys: Mapping[str, Any], limits: Mapping[str, Any]) -> float | None:
    cpus: float | None = _number(keys.get("cpus") or limits.get("cpus"), float)
    quota: float | None = _number(keys.get("cpu_quota"), float)
    # The default period is 100 ms (docker run reference).
    return cpus or (quota / float(keys.get("cpu_period") or 100_000) if quota else None)


def _device(keys: Any) -> str:
    """Return a device's path; Compose before about 2.30 writes a string instead of a table."""
    return str(keys.get("source") if isinstance(keys, dict) else keys)


def _mounts(keys: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Mount]:
    """Yield the mounts of a service; host folders mounted by other means are `bind` as well."""
    for mount in keys.get("volumes") or ():
        source, target = mount.get("source") or "", mount.get("target") or ""
        read_only = bool(mount.get("read_only"))
        volume = (model.get("volumes") or {}).get(source) or {}
        options = volume.get("driver_opts") or {}
        device = str(options.get("device") or "")
        if mount.get("type") == "volume" and device.startswith("/"):
            # A volume of the local driver that mounts a host folder.
            flags = str(options.get("o") or "").split(",")
            yield Mount("bind", device, target, read_only or "ro" in flags)
        else:
            propagation = (mount.get("bind") or {}).get("propagation") or ""
            yield Mount(mount.get("type") or "volume", source, target, read_only, propagation)
    # Without Swarm, Compose mounts the file of a secret or config read-only.
    for kind in ("secrets", "configs"):
        for entry in keys.get(kind) or ():
            name = entry["source"] if isinstance(entry, dict) else entry
            if path := ((model.get(kind) or {}).get(name) or {}).get("file"):
                yield Mount("bind", path, f"/run/{kind}/{name}", read_only=True)
    if keys.get("use_api_socket"):
        yield Mount("bind", _API_SOCKET, _API_SOCKET)


def _published(keys: Mapping[str, Any]) -> PublishedPort:
    return PublishedPort(
        keys.get("host_ip") or "", int(keys["target"]), str(keys.get("published") or "")
    )
