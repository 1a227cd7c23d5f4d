"""What is true of the containers of a stack: what the kernel says, and what the engine says.

The services are looked at side by side. Each costs one probe (seen.py), and one more beside an
idle container of its image (idle.py), whose root file system takes writes.
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
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError
from imageproof.redaction import redact
from imageproof.runtime.idle_container import idle
from imageproof.runtime.probe_client import Limits, Process, Seen, Socket, Writes, look_into
from imageproof.terminal_text import clean_lines, strip_escapes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.docker.client import Engine

LOG_LINES = 10
HEALTH_LINES = 3
MOST_CHANGES = 200
WORKERS = 8  # each waits for the engine
LOOKED_INTO = {"running", "paused"}
HEALTHY = "health_status: healthy"


@dataclass(frozen=True)
class EnvironmentDigests:
    """Variables by name, each with a digest of its value; the key of the digests is forgotten.

    What the process was started with, what the compose file passes, and what its image sets.
    """

    received: Mapping[str, str]
    passed: Mapping[str, str]
    image: Mapping[str, str]


@dataclass(frozen=True)
class ContainerFacts:
    """One container of a service. What is None nobody could look at: `why` says the reason."""

    name: str
    status: str
    health: str | None
    restarts: int
    out_of_memory: bool
    health_output: str  # of its last health check
    processes: tuple[Process, ...] | None
    log: tuple[str, ...] = ()  # the end of it, where the container is not well
    ready_after: float | None = None  # seconds from start to healthy; None: too long ago to know
    sockets: tuple[Socket, ...] | None = None
    limits: Limits | None = None  # in the kernel
    requested_limits: Limits = field(default_factory=Limits)  # what the engine was told
    writes: Writes | None = None  # as it runs
    image_writes: Writes | None = None  # in its image as the contract's user, root not read-only
    changed: tuple[str, ...] | None = None  # paths that `docker diff` tells
    mounts: tuple[str, ...] = ()
    environment: EnvironmentDigests | None = None
    unknown: str = ""
    unknown_parts: Mapping[str, str] = field(default_factory=dict)  # by name of the field

    def why(self, part: str) -> str:
        """Why nobody could look at a part."""
        return self.unknown_parts.get(part) or self.unknown or f"the probe does not say its {part}"


def read_containers(
    engine: Engine, images: Mapping[str, ServiceContract], probe_image: str | None
) -> dict[str, tuple[ContainerFacts, ...]]:
    """By name of the image, the containers of its service, with all that can be seen of them."""
    found = engine.containers(sorted({terms.service for terms in images.values()}))
    made_of = _images(engine, [container["Image"] for container in found])
    passed = _passed(engine)
    with ThreadPoolExecutor(WORKERS) as pool:
        reader = _Reader(engine, probe_image, made_of, passed)
        image_writes: dict[tuple[str, str], Future[Writes | str]] = {}
        reading: list[tuple[str, Future[ContainerFacts], Future[Writes | str]]] = []
        for name, terms in images.items():
            for container in found:
                if service_of(container) == terms.service:
                    image = container["Image"]
                    if (image, terms.user) not in image_writes:  # the slower one first
                        image_writes[image, terms.user] = pool.submit(reader.image_writes, container, terms)
                    future = pool.submit(reader.container, container, terms)
                    reading.append((name, future, image_writes[image, terms.user]))
        facts: dict[str, list[ContainerFacts]] = {name: [] for name in images}
        for name, future, bare in reading:
            facts[name].append(_with(future.result(), bare.result()))
    return {name: tuple(containers) for name, containers in facts.items()}


def _with(facts: ContainerFacts, image_writes: Writes | str) -> ContainerFacts:
    if isinstance(image_writes, Writes):
        return replace(facts, image_writes=image_writes)
    return replace(facts, unknown_parts={**facts.unknown_parts, "image_writes": image_writes})


def _images(engine: Engine, identities: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The images by their identities; one that was removed meanwhile is not there."""
    with contextlib.suppress(ImageproofError):
        found = engine.inspect("image", sorted(set(identities)))
        return {image["Id"]: image for image in found}
    return {}


def _passed(engine: Engine) -> dict[str, dict[str, str]] | str:
    """By service, the environment that the compose file passes; or why nobody knows."""
    try:
        services = engine.compose_model(interpolate=True).get("services", {})
    except ImageproofError as error:
        return str(error)
    return {
        service: {
            name: str(value).replace("$$", "$")  # as Compose writes a plain dollar
            for name, value in (keys.get("environment") or {}).items()
            if value is not None
        }
        for service, keys in services.items()
    }


@dataclass(frozen=True)
class _Reader:
    """Reads one container: what all of them share is known before."""

    engine: Engine
    probe_image: str | None
    images: Mapping[str, Mapping[str, Any]]
    passed: Mapping[str, Mapping[str, str]] | str

    def container(self, container: Mapping[str, Any], terms: ServiceContract) -> ContainerFacts:
        """All facts of it but `image_writes`; what fails says why."""
        state = container["State"]
        health = state.get("Health") or {}
        key = secrets.token_bytes(16)
        changed = self._changed(container)  # before the probe
        seen, unknown = self._look(container, terms, key)
        environment = self._environment(container, seen, key)
        well = state["Status"] == "running" and health.get("Status") in (None, "healthy")
        unknown_parts = dict(seen.unknown)
        if isinstance(environment, str):
            unknown_parts["environment"] = environment
        if changed is None:
            unknown_parts["changed"] = "the engine does not say what it wrote (docker diff)"
        elif seen.mounts is None:  # what the engine made to mount something on cannot be told apart
            changed = None
            unknown_parts["changed"] = seen.unknown.get("mounts", unknown)
        return ContainerFacts(
            name=container["Name"].lstrip("/"),
            status=state["Status"],
            health=health.get("Status"),
            restarts=container.get("RestartCount", 0),
            out_of_memory=bool(state.get("OOMKilled")) or seen.kills > 0,
            health_output=_last_words(health),
            processes=seen.processes,
            log=() if well else self._log(container),
            ready_after=self._ready_after(container),
            sockets=seen.sockets,
            limits=seen.limits,
            requested_limits=requested_limits(container["HostConfig"]),
            writes=seen.writes,
            changed=changed,
            mounts=seen.mounts or (),
            environment=None if isinstance(environment, str) else environment,
            unknown=unknown,
            unknown_parts=unknown_parts,
        )

    def _look(
        self, container: Mapping[str, Any], terms: ServiceContract, key: bytes
    ) -> tuple[Seen, str]:
        """What a probe sees, and why it sees nothing."""
        if unknown := self._closed(container):
            return Seen(), unknown
        try:
            return look_into(
                self.engine, container["Id"], str(self.probe_image), terms.writable, key=key
            ), ""
        except (ImageproofError, ValueError) as error:
            return Seen(), str(error)

    def _closed(self, container: Mapping[str, Any]) -> str:
        """Why there can be no probe beside a container."""
        status = container["State"]["Status"]
        shared = container["HostConfig"].get("PidMode")
        if status not in LOOKED_INTO:
            return f"the container is {status}"
        if shared:
            return f"it shares the processes of {shared}: its own cannot be told apart"
        return "" if self.probe_image else "there is no base image to make the probe of"

    def image_writes(self, container: Mapping[str, Any], terms: ServiceContract) -> Writes | str:
        """What the contract's user can write in the image; or why nobody knows."""
        image = self.images.get(container["Image"])
        if unknown := self._closed(container):
            return unknown
        if image is None:
            return "its image is no longer there"
        try:
            with idle(self.engine, image["Id"], image["Architecture"], terms.user) as name:
                seen = look_into(
                    self.engine, name, str(self.probe_image), terms.writable, throwaway=True
                )
        except (ImageproofError, ValueError) as error:
            return str(error)
        return seen.writes or seen.unknown.get("writes", "the probe does not say")

    def _environment(
        self, container: Mapping[str, Any], seen: Seen, key: bytes
    ) -> EnvironmentDigests | str:
        image = self.images.get(container["Image"])
        if seen.received is None:
            return seen.unknown.get("environment", "")
        if isinstance(self.passed, str):
            return self.passed
        if image is None:
            return "its image is no longer there"
        service = service_of(container)
        passed = self.passed.get(service or "")
        if passed is None:
            return f"the compose file has no service {service}"
        own = dict(entry.split("=", 1) for entry in image["Config"].get("Env") or ())
        return EnvironmentDigests(seen.received, _digests(passed, key), _digests(own, key))

    def _changed(self, container: Mapping[str, Any]) -> tuple[str, ...] | None:
        """What `docker diff` tells: paths of the container's own layer."""
        with contextlib.suppress(ImageproofError), translating("comparing with the image"):
            paths = self.engine.docker.container.diff(container["Id"])
            return tuple(map(strip_escapes, sorted(paths)[:MOST_CHANGES]))
        return None

    def _log(self, container: Mapping[str, Any]) -> tuple[str, ...]:
        with contextlib.suppress(ImageproofError), translating("reading the log"):
            text = self.engine.docker.container.logs(container["Id"], tail=LOG_LINES)
            return tuple(redact(line) for line in clean_lines(str(text)))
        return ()

    def _ready_after(self, container: Mapping[str, Any]) -> float | None:
        """From start to healthy; the engine remembers its last 256 events only."""
        with contextlib.suppress(ImageproofError):
            events = self.engine.events(
                container["Id"], container["State"]["StartedAt"], ("start", "health_status")
            )
            times = [(event["Action"], event["timeNano"]) for event in events]
            started = [at for action, at in times if action == "start"]
            healthy = [at for action, at in times if action == HEALTHY]
            if started and healthy:
                return float(healthy[0] - started[0]) / 1e9
        return None


def _digests(values: Mapping[str, str], key: bytes) -> dict[str, str]:
    return {
        name: hmac.new(key, value.encode(), "sha256").hexdigest() for name, value in values.items()
    }


def _last_words(health: Mapping[str, Any]) -> str:
    log = health.get("Log") or [{}]
    return " | ".join(map(redact, clean_lines(log[-1].get("Output"))[-HEALTH_LINES:]))


def requested_limits(given: Mapping[str, Any]) -> Limits:
    """The bounds that the engine was told (HostConfig); 0 and -1 are none."""
    cpu = (given.get("NanoCpus") or 0) / 1e9
    if (given.get("CpuQuota") or 0) > 0:
        cpu = given["CpuQuota"] / (given.get("CpuPeriod") or 100_000)
    pids = given.get("PidsLimit") or 0
    return Limits(given.get("Memory") or None, pids if pids > 0 else None, cpu or None)
