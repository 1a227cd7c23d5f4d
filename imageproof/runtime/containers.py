"""Facts of the running containers of a stack, as the kernel and the engine report them.

All services are read at the same time. A probe runs beside each container (probe_client.py). For
each image and user another probe runs, beside an idle container with a writable root
(idle_container.py).
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imageproof.docker.client import service_of
from imageproof.docker.engine_time import seconds_since
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError
from imageproof.redaction import redact
from imageproof.runtime.idle_container import idle_container
from imageproof.runtime.probe_client import Limits, ProbeResult, Process, Socket, Writes, run_probe
from imageproof.terminal_text import clean_lines, strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.docker.client import Engine

MAX_LOG_LINES = 10
MAX_HEALTH_LINES = 3
MAX_CHANGED_PATHS = 200
WORKERS = 8  # more than processors, because each waits for the engine
PROBED_STATUSES = {"running", "paused"}
HEALTHY_EVENT = "health_status: healthy"
IMAGE_GONE = "its image was removed from the engine"


@dataclass(frozen=True)
class EnvironmentDigests:
    """Digests of the environment's values by variable, made with a key that is not stored."""

    received: Mapping[str, str]  # by the process, at its start
    passed: Mapping[str, str]  # by the compose file
    image: Mapping[str, str]  # set in the image


@dataclass(frozen=True)
class ContainerFacts:
    """One container of a service. `reason` says why a part that is None could not be read.

    Attributes:
        health_output: The last output of the health check.
        log: The end of the log, if the container is not running and healthy.
        uptime: Seconds since the last start.
        ready_after: Seconds from start to healthy; None: the engine no longer has the events.
        limits: The bounds that the kernel applies.
        requested_limits: The bounds that the engine was asked for.
        writes: What the service's user can write in this container.
        image_writes: What the contract's user can write in the image with a writable root.
        changed: Paths that differ from the image (`docker diff`).
        unknown: Why the probe could not run.
        unknown_parts: Why single parts could not be read, by the name of the attribute.
    """

    name: str
    status: str
    health: str | None
    restarts: int
    out_of_memory: bool
    health_output: str
    processes: tuple[Process, ...] | None
    log: tuple[str, ...] = ()
    uptime: float = 0.0
    ready_after: float | None = None
    sockets: tuple[Socket, ...] | None = None
    limits: Limits | None = None
    requested_limits: Limits = field(default_factory=Limits)
    writes: Writes | None = None
    image_writes: Writes | None = None
    changed: tuple[str, ...] | None = None
    mounts: tuple[str, ...] = ()
    environment: EnvironmentDigests | None = None
    unknown: str = ""
    unknown_parts: Mapping[str, str] = field(default_factory=dict)

    def reason(self, part: str) -> str:
        """Return why a part could not be read."""
        return (
            self.unknown_parts.get(part) or self.unknown or f"the probe did not report its {part}"
        )


def read_containers(
    engine: Engine, services: Mapping[str, ServiceContract], probe_image: str | None
) -> dict[str, tuple[ContainerFacts, ...]]:
    """Return the facts of each service's containers.

    Args:
        engine: The engine with the stack.
        services: The contract of each service, by the image's name.
        probe_image: Image to run the probes in. Without it only the engine's facts are read.

    Returns:
        The containers by the image's name.
    """
    containers = engine.containers(sorted({service.service for service in services.values()}))
    reader = _Reader(
        engine,
        probe_image,
        _inspect_images(engine, [container["Image"] for container in containers]),
        _passed_environment(engine),
    )
    pending: list[tuple[str, Future[ContainerFacts], Future[Writes | str]]] = []
    image_writes: dict[tuple[str, str], Future[Writes | str]] = {}  # by image id and user
    with ThreadPoolExecutor(WORKERS) as pool:
        for name, service in services.items():
            for container in containers:
                if service_of(container) != service.service:
                    continue
                image_and_user = (container["Image"], service.user)
                if image_and_user not in image_writes:  # started first, because it takes longer
                    image_writes[image_and_user] = pool.submit(
                        reader.image_writes, container, service
                    )
                facts = pool.submit(reader.read, container, service)
                pending.append((name, facts, image_writes[image_and_user]))
    containers_of: dict[str, list[ContainerFacts]] = {name: [] for name in services}
    for name, facts, writes in pending:
        containers_of[name].append(_with_image_writes(facts.result(), writes.result()))
    return {name: tuple(group) for name, group in containers_of.items()}


def _with_image_writes(facts: ContainerFacts, writes: Writes | str) -> ContainerFacts:
    if isinstance(writes, Writes):
        return replace(facts, image_writes=writes)
    return replace(facts, unknown_parts={**facts.unknown_parts, "image_writes": writes})


def _inspect_images(engine: Engine, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the images by id, without those that were removed."""
    with contextlib.suppress(ImageproofError):
        return {image["Id"]: image for image in engine.inspect("image", sorted(set(ids)))}
    return {}


def _passed_environment(engine: Engine) -> dict[str, dict[str, str]] | str:
    """Return the environment that the compose file passes to each service, or an error's text."""
    try:
        services = engine.compose_model(interpolate=True).get("services", {})
    except ImageproofError as error:
        return str(error)
    return {
        service: {
            name: str(value).replace("$$", "$")  # Compose prints a dollar sign twice
            for name, value in (keys.get("environment") or {}).items()
            if value is not None
        }
        for service, keys in services.items()
    }


@dataclass(frozen=True)
class _Reader:
    """Reader of one container at a time. A method that cannot read its part returns the reason."""

    engine: Engine
    probe_image: str | None
    images: Mapping[str, Mapping[str, Any]]
    passed: Mapping[str, Mapping[str, str]] | str

    def read(self, container: Mapping[str, Any], service: ServiceContract) -> ContainerFacts:
        """Read all facts of a container, except its `image_writes`."""
        state = container["State"]
        health = state.get("Health") or {}
        is_healthy = state["Status"] == "running" and health.get("Status") in (None, "healthy")
        digest_key = secrets.token_bytes(16)
        changed = self._changed_paths(container)  # before the probe, which may change files
        probed, unknown = self._probe(container, service, digest_key)
        environment = self._environment(container, probed, digest_key)
        if probed.mounts is None and not isinstance(changed, str):
            # The engine's own mount points among the paths cannot be recognised.
            changed = probed.unknown.get("mounts", unknown)
        unknown_parts = dict(probed.unknown)
        if isinstance(environment, str):
            unknown_parts["environment"] = environment
        if isinstance(changed, str):
            unknown_parts["changed"] = changed
        return ContainerFacts(
            name=container["Name"].lstrip("/"),
            status=state["Status"],
            health=health.get("Status"),
            restarts=container.get("RestartCount", 0),
            out_of_memory=bool(state.get("OOMKilled")) or probed.kills > 0,
            health_output=_health_output(health),
            processes=probed.processes,
            log=() if is_healthy else self._log(container),
            uptime=seconds_since(state["StartedAt"]),
            ready_after=self._ready_after(container),
            sockets=probed.sockets,
            limits=probed.limits,
            requested_limits=requested_limits(container["HostConfig"]),
            writes=probed.writes,
            changed=None if isinstance(changed, str) else changed,
            mounts=probed.mounts or (),
            environment=None if isinstance(environment, str) else environment,
            unknown=unknown,
            unknown_parts=unknown_parts,
        )

    def image_writes(self, container: Mapping[str, Any], service: ServiceContract) -> Writes | str:
        """Return what the contract's user can write in the image with a writable root."""
        if reason := self._reason_not_to_probe(container):
            return reason
        image = self.images.get(container["Image"])
        if image is None:
            return IMAGE_GONE
        try:
            with idle_container(
                self.engine, image["Id"], image["Architecture"], service.user
            ) as name:
                probed = run_probe(
                    self.engine, name, str(self.probe_image), service.writable, throwaway=True
                )
        except (ImageproofError, ValueError) as error:
            return str(error)
        return probed.writes or probed.unknown.get("writes", "the probe did not report its writes")

    def _probe(
        self, container: Mapping[str, Any], service: ServiceContract, digest_key: bytes
    ) -> tuple[ProbeResult, str]:
        """Return the probe's result; if the probe could not run, an empty one and the reason."""
        if reason := self._reason_not_to_probe(container):
            return ProbeResult(), reason
        try:
            result = run_probe(
                self.engine,
                container["Id"],
                str(self.probe_image),
                service.writable,
                key=digest_key,
            )
        except (ImageproofError, ValueError) as error:
            return ProbeResult(), str(error)
        return result, ""

    def _reason_not_to_probe(self, container: Mapping[str, Any]) -> str:
        """Return why no probe can run beside a container, "" if one can."""
        status = container["State"]["Status"]
        pid_mode = container["HostConfig"].get("PidMode")
        if status not in PROBED_STATUSES:
            return f"the container is {status}"
        if pid_mode:
            return f"it shares the processes of {pid_mode}: its own cannot be distinguished"
        return "" if self.probe_image else "there is no base image to run the probe in"

    def _environment(
        self, container: Mapping[str, Any], probed: ProbeResult, digest_key: bytes
    ) -> EnvironmentDigests | str:
        if probed.environment is None:
            return probed.unknown.get("environment", "")
        if isinstance(self.passed, str):
            return self.passed
        image = self.images.get(container["Image"])
        if image is None:
            return IMAGE_GONE
        service = service_of(container)
        passed = self.passed.get(service or "")
        if passed is None:
            return f"the compose file has no service {service}"
        image_values = dict(entry.split("=", 1) for entry in image["Config"].get("Env") or ())
        return EnvironmentDigests(
            received=probed.environment,
            passed=_digests(passed, digest_key),
            image=_digests(image_values, digest_key),
        )

    def _changed_paths(self, container: Mapping[str, Any]) -> tuple[str, ...] | str:
        with contextlib.suppress(ImageproofError), translating("comparing with the image"):
            paths = self.engine.whales.container.diff(container["Id"])
            return tuple(map(strip_escapes, sorted(paths)[:MAX_CHANGED_PATHS]))
        return "the engine does not report its changes (docker diff)"

    def _log(self, container: Mapping[str, Any]) -> tuple[str, ...]:
        with contextlib.suppress(ImageproofError), translating("reading the log"):
            text = self.engine.whales.container.logs(container["Id"], tail=MAX_LOG_LINES)
            return tuple(redact(line) for line in clean_lines(str(text)))
        return ()

    def _ready_after(self, container: Mapping[str, Any]) -> float | None:
        """Return the seconds from start to healthy; the engine keeps only its last 256 events."""
        with contextlib.suppress(ImageproofError):
            events = self.engine.events(
                container["Id"], container["State"]["StartedAt"], ("start", "health_status")
            )
            starts = [event["timeNano"] for event in events if event["Action"] == "start"]
            healthy = [event["timeNano"] for event in events if event["Action"] == HEALTHY_EVENT]
            if starts and healthy:
                return float(healthy[0] - starts[0]) / 1e9
        return None


def _digests(values: Mapping[str, str], key: bytes) -> dict[str, str]:
    return {
        name: hmac.new(key, value.encode(), "sha256").hexdigest() for name, value in values.items()
    }


def _health_output(health: Mapping[str, Any]) -> str:
    log = health.get("Log") or [{}]
    return " | ".join(map(redact, clean_lines(log[-1].get("Output"))[-MAX_HEALTH_LINES:]))


def requested_limits(host_config: Mapping[str, Any]) -> Limits:
    """Return the bounds in the engine's HostConfig. There 0 and -1 mean unbounded."""
    cpu = (host_config.get("NanoCpus") or 0) / 1e9
    if (host_config.get("CpuQuota") or 0) > 0:
        cpu = host_config["CpuQuota"] / (host_config.get("CpuPeriod") or 100_000)
    pids = host_config.get("PidsLimit") or 0
    return Limits(host_config.get("Memory") or None, pids if pids > 0 else None, cpu or None)
