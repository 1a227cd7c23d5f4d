"""Facts of the Swarm file: how Swarm updates each service, and how its health is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from imageproof.project.swarm_file import engine_with_stack_file

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# Defaults of Swarm (docs.docker.com/reference/compose-file/deploy) and of health checks.
DEFAULT_MONITOR = 5.0
DEFAULT_GRACE_PERIOD = 10.0
DEFAULT_CHECK = (30.0, 30.0, 3)
_DURATION = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_ALIAS = re.compile(r"[*]([\w.-]+)")
MAX_ALIASES = 20  # followed for one setting


@dataclass(frozen=True)
class CheckTimes:
    """Times of a health check in seconds, and the number of failures in a row."""

    interval: float
    timeout: float
    retries: int

    @property
    def notices_within(self) -> float:
        """Seconds until a failure is noticed, at worst."""
        return (self.interval + self.timeout) * self.retries


@dataclass(frozen=True)
class UpdateConfig:
    """`update_config` or `rollback_config` of a service, with Swarm's defaults.

    `monitor`: seconds. `line`: the line in the file to change.
    """

    key: Literal["update_config", "rollback_config"]
    monitor: float
    monitor_is_set: bool
    failure_action: str
    max_failure_ratio: float
    line: int


@dataclass(frozen=True)
class ServiceUpdates:
    """Update of a service in the Swarm file.

    `healthcheck`: the file's own; without `test`, it changes times of the image's.
    """

    update: UpdateConfig
    rollback: UpdateConfig
    grace_period: float = DEFAULT_GRACE_PERIOD
    healthcheck: Mapping[str, Any] = field(default_factory=dict)

    def check_times(self, image: CheckTimes | None) -> CheckTimes | None:
        """Return the times of the health check; None if there is none, or none is known.

        Args:
            image: Those of the image's own health check.
        """
        own = self.healthcheck
        test = own.get("test") or ()
        if own.get("disable") or list(test)[:1] == ["NONE"] or not (test or image):
            return None
        default = CheckTimes(*DEFAULT_CHECK)
        base = image or default
        return CheckTimes(
            _seconds(own.get("interval")) or base.interval,
            _seconds(own.get("timeout")) or base.timeout,
            int(own.get("retries") or base.retries),
        )


@dataclass(frozen=True)
class UpdateFacts:
    """Services of the Swarm file, and the health checks of their images, by service.

    An image without a health check, or that was not read, is left out.
    """

    services: Mapping[str, ServiceUpdates]
    image_checks: Mapping[str, CheckTimes] = field(default_factory=dict)

    def with_image_checks(self, checks: Mapping[str, CheckTimes]) -> UpdateFacts:
        """Return the facts with the health checks of images, by service."""
        return replace(self, image_checks=checks)


def read_update_settings(contract: Contract, engine: Engine) -> UpdateFacts | None:
    """Read the Swarm file with its defaults; return None if the contract names none.

    Raises:
        ConfigurationError: Compose rejects the file.
    """
    if contract.stack_file is None:
        return None
    model = engine_with_stack_file(engine, contract.stack_file).compose_model(
        interpolate=True, defaults=True
    )
    lines = contract.stack_file.read_text().splitlines()
    services = {}
    for name, keys in (model.get("services") or {}).items():
        deploy = keys.get("deploy") or {}
        grace = _seconds(keys.get("stop_grace_period"))
        services[name] = ServiceUpdates(
            update=_config("update_config", deploy, lines, name),
            rollback=_config("rollback_config", deploy, lines, name),
            grace_period=DEFAULT_GRACE_PERIOD if grace is None else grace,
            healthcheck=keys.get("healthcheck") or {},
        )
    return UpdateFacts(services)


def _config(
    key: Literal["update_config", "rollback_config"],
    deploy: Mapping[str, Any],
    lines: Sequence[str],
    service: str,
) -> UpdateConfig:
    config = deploy.get(key) or {}
    monitor = _seconds(config.get("monitor"))
    return UpdateConfig(
        key=key,
        monitor=monitor or DEFAULT_MONITOR,  # Swarm takes 0 for unset
        monitor_is_set=bool(monitor),
        failure_action=config.get("failure_action") or "pause",
        max_failure_ratio=float(config.get("max_failure_ratio") or 0),
        line=find_line(lines, service, key, "monitor"),
    )


def _seconds(value: Any) -> float | None:
    """Return a duration such as `1m30s` in seconds; None without one."""
    parts = _DURATION.findall(str(value or ""))
    return sum(float(n) * _SECONDS[unit] for n, unit in parts) if parts else None


# --- lines of the file, for findings. Compose's model has none.


def find_line(lines: Sequence[str], service: str, *keys: str) -> int:
    """Return the number of the line that sets a key of a service, or of its closest parent.

    It follows YAML's aliases, such as `<<: *service` and `update_config: *update`.

    Args:
        lines: The file's lines.
        service: Name of the service.
        keys: Names of nested keys; keys between them may be left out.
    """
    services = next((n for n, line in enumerate(lines) if re.match(r"services\s*:", line)), None)
    start = None if services is None else _find_key(lines, services, service)
    if start is None:
        return 1
    found = start
    for key in keys:
        line = next((n for n in _reachable(lines, found, key) if n is not None), None)
        if line is None:
            break
        found = line
    return found + 1


def _reachable(lines: Sequence[str], start: int, key: str) -> Iterator[int | None]:
    """Yield the line of a key in a block, then in the blocks of the aliases that it names."""
    pending, done = [start], set[int]()
    while pending and len(done) < MAX_ALIASES:
        block = pending.pop(0)
        if block in done:
            continue
        done.add(block)
        yield _find_key(lines, block, key)
        for number in (block, *_children(lines, block)):
            for alias in _ALIAS.findall(lines[number]):
                anchor = re.compile(rf"&{re.escape(alias)}(?![\w.-])")
                pending += [n for n, line in enumerate(lines) if anchor.search(line)]


def _find_key(lines: Sequence[str], start: int, key: str) -> int | None:
    """Return the line of a key in the block that a line begins, or in the line itself."""
    pattern = re.compile(rf"(?:^\s*|[{{,]\s*|<<:\s*)[\"']?{re.escape(key)}[\"']?\s*:(?:\s|$)")
    matches = [n for n in (start, *_children(lines, start)) if pattern.search(_code(lines[n]))]
    # The least indented one: a service may have a key with the name of another service.
    return min(matches, key=lambda n: _indent(lines[n]), default=None)


def _children(lines: Sequence[str], start: int) -> Iterator[int]:
    """Yield the numbers of the lines that are indented deeper than the first."""
    indent = _indent(lines[start])
    for number in range(start + 1, len(lines)):
        if _code(lines[number]).strip():
            if _indent(lines[number]) <= indent:
                return
            yield number


def _code(line: str) -> str:
    return re.sub(r"(?:^|\s)#.*", "", line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
