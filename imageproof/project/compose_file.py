"""Facts of the compose file: each service as Compose reads it, with the file's own defaults.

.env and the user's variables are ignored, so that the file is judged the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

NAMESPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
_API_SOCKET = "/var/run/docker.sock"  # `use_api_socket: true` mounts it
_CPU_PERIOD_MICROSECONDS = 100_000  # default of `cpu_period` (docker run reference)


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
    services = services_with_containers(model)
    return ComposeFacts({name: read_service(name, keys, model) for name, keys in services.items()})


def services_with_containers(model: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the services of a compose model by name, without providers.

    A provider is a program that Compose calls; it has no container.
    """
    services = model.get("services") or {}
    return {name: keys for name, keys in services.items() if "provider" not in keys}


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
        memory=_limit(keys.get("mem_limit") or limits.get("memory"), int),
        cpus=_cpus(keys, limits),
        pids=_limit(keys.get("pids_limit") or limits.get("pids"), int),
        oom_kill_disable=bool(keys.get("oom_kill_disable")),
        namespaces={key: str(keys[key]) for key in NAMESPACES if keys.get(key)},
        cgroup_parent=keys.get("cgroup_parent") or "",
        mounts=tuple(_mounts(keys, model)),
        tmpfs=_texts(keys.get("tmpfs")),
        devices=tuple(map(_device, keys.get("devices") or ()))
        + _texts(keys.get("device_cgroup_rules")),
        ports=tuple(map(_published_port, keys.get("ports") or ())),
        log_driver=logging.get("driver") or "",
        log_options=logging.get("options") or {},
    )


def _texts(values: Any) -> tuple[str, ...]:
    """Convert a list, or a single string, which Compose accepts as a list of one."""
    return (values,) if isinstance(values, str) else tuple(map(str, values or ()))


def _limit(value: Any, number_type: type) -> Any:
    """Convert a limit to a number; None for no limit, for which Docker writes 0 or -1."""
    return number_type(value) if value and float(value) > 0 else None


def _cpus(keys: Mapping[str, Any], limits: Mapping[str, Any]) -> float | None:
    cpus: float | None = _limit(keys.get("cpus") or limits.get("cpus"), float)
    quota: float | None = _limit(keys.get("cpu_quota"), float)
    period = float(keys.get("cpu_period") or _CPU_PERIOD_MICROSECONDS)
    return cpus or (quota / period if quota else None)


def _device(device: Any) -> str:
    """Return a device's path; Compose before about 2.30 writes a string instead of a table."""
    return str(device.get("source") if isinstance(device, dict) else device)


def _mounts(keys: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Mount]:
    """Yield the mounts of a service, including host folders that other keys mount."""
    for mount in keys.get("volumes") or ():
        yield _volume_mount(mount, model)
    # Without Swarm, Compose mounts the file of a secret or config read-only.
    for section in ("secrets", "configs"):
        for entry in keys.get(section) or ():
            name = entry["source"] if isinstance(entry, dict) else entry
            if path := ((model.get(section) or {}).get(name) or {}).get("file"):
                yield Mount("bind", path, f"/run/{section}/{name}", read_only=True)
    if keys.get("use_api_socket"):
        yield Mount("bind", _API_SOCKET, _API_SOCKET)


def _volume_mount(mount: Mapping[str, Any], model: Mapping[str, Any]) -> Mount:
    """Convert an entry of `volumes`. A local volume may also mount a host folder: `bind`."""
    kind = mount.get("type") or "volume"
    source, target = mount.get("source") or "", mount.get("target") or ""
    read_only = bool(mount.get("read_only"))
    volume = (model.get("volumes") or {}).get(source) or {}
    options = volume.get("driver_opts") or {}
    device = str(options.get("device") or "")
    if mount.get("type") == "volume" and device.startswith("/"):
        flags = str(options.get("o") or "").split(",")
        return Mount("bind", device, target, read_only or "ro" in flags)
    propagation = (mount.get("bind") or {}).get("propagation") or ""
    return Mount(kind, source, target, read_only, propagation)


def _published_port(port: Mapping[str, Any]) -> PublishedPort:
    return PublishedPort(
        port.get("host_ip") or "", int(port["target"]), str(port.get("published") or "")
    )
