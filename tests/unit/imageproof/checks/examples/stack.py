"""Faults and near misses of the stack.* checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from imageproof.project.swarm_file import ServiceSettings, StackFileFacts
from imageproof.project.update_settings import (
    CheckTimes,
    ServiceUpdates,
    UpdateConfig,
    UpdateFacts,
)
from tests.support.sample_facts import SECRET, Case, contract

SETTINGS = {"init": "true", "the memory limit": "1000", "the mount /tmp": "tmpfs of 1 bytes"}
COMPOSE = ServiceSettings(SETTINGS, {"LOG_LEVEL": "info", "API_TOKEN": ""})
SWARM = ServiceSettings(SETTINGS, {"LOG_LEVEL": "info"}, frozenset({"API_TOKEN"}))
WITH_STACK_FILE = contract(stack="stack.yaml")
NOTICED_TOO_LATE = (
    "shop: a task that fails its health check has failed after up to 49 s ((10 s interval + "
    "3 s timeout) x 3 retries + 10 s stop_grace_period), but the monitor of update_config "
    "is 15 s: write `monitor: 50s` (stack.yaml:7)"
)
IMAGE_CHECK = CheckTimes(10, 3, 3)  # (10 s + 3 s) x 3 + 10 s = 49 s


def _facts(swarm: ServiceSettings = SWARM, compose: ServiceSettings = COMPOSE) -> StackFileFacts:
    return StackFileFacts({"shop": compose}, {"shop": swarm}, frozenset({"API_TOKEN"}))


def _updates(
    image: CheckTimes | None = IMAGE_CHECK,
    rollback: Mapping[str, Any] = MappingProxyType({}),
    healthcheck: Mapping[str, Any] = MappingProxyType({}),
    grace_period: float = 10,
    **update: Any,
) -> UpdateFacts:
    """Return a service whose monitors are just long enough; `update` replaces keys."""
    good: dict[str, Any] = {"monitor": 50, "monitor_is_set": True, "failure_action": "rollback"}
    good |= {"max_failure_ratio": 0, "line": 7}
    service = ServiceUpdates(
        UpdateConfig("update_config", **{**good, **update}),
        UpdateConfig("rollback_config", **{**good, "failure_action": "pause", **rollback}),
        grace_period,
        healthcheck,
    )
    return UpdateFacts({"shop": service}, {"shop": image} if image else {})


def _updates_of_two_services() -> UpdateFacts:
    fast, slow = _updates(monitor=15), _updates(monitor=15)
    services = {"shop": fast.services["shop"], "till": slow.services["shop"]}
    return UpdateFacts(services, {"shop": IMAGE_CHECK, "till": CheckTimes(30, 30, 3)})


def _setting(name: str, value: str) -> StackFileFacts:
    settings = {**SETTINGS, name: value}
    return _facts(replace(SWARM, settings={n: v for n, v in settings.items() if v}))


def _passing(environment: Mapping[str, str], *secrets: str) -> StackFileFacts:
    return _facts(replace(SWARM, environment=environment, secrets=frozenset(secrets)))


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "stack.parity": [
        (
            _setting("init", ""),
            "shop: init is true in compose.yaml, not set in stack.yaml",
            WITH_STACK_FILE,
        ),
        (
            _setting("cap_add", "CHOWN"),
            "shop: cap_add is not set in compose.yaml, CHOWN in stack.yaml",
            WITH_STACK_FILE,
        ),
        (
            _setting("the memory limit", "2000"),
            "the memory limit is 1000 in compose.yaml, 2000 in stack",
            WITH_STACK_FILE,
        ),
        (
            _passing({}, "API_TOKEN"),
            "shop: LOG_LEVEL is set in compose.yaml but not in stack.yaml",
            WITH_STACK_FILE,
        ),
        (
            _passing({"LOG_LEVEL": "info"}),
            "shop: API_TOKEN is set in compose.yaml but not in stack.yaml",
            WITH_STACK_FILE,
        ),
        (
            _passing({"LOG_LEVEL": "debug"}, "API_TOKEN"),
            "LOG_LEVEL has the default 'info' in compose.yaml, 'debug' in stack.yaml",
            WITH_STACK_FILE,
        ),
        (
            _passing({"LOG_LEVEL": "info", "NEW": ""}, "API_TOKEN"),
            "NEW is set in stack.yaml but not in compose.yaml",
            WITH_STACK_FILE,
        ),
        (
            _passing({"LOG_LEVEL": "info"}, "API_TOKEN", "OLD"),
            "OLD is set in stack.yaml but not",
            WITH_STACK_FILE,
        ),
        (
            _passing({"LOG_LEVEL": "info", "API_TOKEN": SECRET}),
            "the secret API_TOKEN is under",
            WITH_STACK_FILE,
        ),
        (
            replace(_facts(), swarm={}),
            "shop is a service in compose.yaml but not in stack",
            WITH_STACK_FILE,
        ),
        (
            replace(_facts(), compose={}),
            "shop is a service in stack.yaml but not in",
            WITH_STACK_FILE,
        ),
    ],
    "stack.update-monitor": [
        (
            _updates(monitor=15),
            NOTICED_TOO_LATE,
            WITH_STACK_FILE,
        ),
        (_updates(monitor=49), "write `monitor: 50s`", WITH_STACK_FILE),
        (_updates(monitor=49, grace_period=11), "write `monitor: 55s`", WITH_STACK_FILE),
        (_updates(monitor=5, monitor_is_set=False), "5 s, Swarm's default: write", WITH_STACK_FILE),
        (
            _updates(rollback={"monitor": 5}),
            "the monitor of rollback_config is 5 s",
            WITH_STACK_FILE,
        ),
        (_updates(monitor=15, failure_action="pause"), "is 15 s", WITH_STACK_FILE),
        (
            _updates(failure_action="continue"),
            "goes on with an update that fails, expected `failure_action: rollback`",
            WITH_STACK_FILE,
        ),
        (
            _updates(rollback={"failure_action": "continue"}),
            "goes on with a rollback that fails, expected `failure_action: pause`",
            WITH_STACK_FILE,
        ),
        (_updates(max_failure_ratio=1), "`max_failure_ratio: 1` of update", WITH_STACK_FILE),
        # the file's own health check: 30 s, 30 s and 3 are Docker's defaults
        (
            _updates(image=None, healthcheck={"test": ["CMD", "x"]}),
            "up to 190 s ((30 s interval + 30 s timeout) x 3",
            WITH_STACK_FILE,
        ),
        # two services share the line: one value for both
        (_updates_of_two_services(), "up to 49 s ((10 s", WITH_STACK_FILE),
        (_updates_of_two_services(), "write `monitor: 195s` (stack.yaml:7)", WITH_STACK_FILE),
        # the file changes one time of the image's health check
        (_updates(healthcheck={"interval": "1m30s"}), "((90 s interval + 3 s", WITH_STACK_FILE),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "stack.update-monitor": [
        Case(_updates(), WITH_STACK_FILE),
        Case(UpdateFacts({}), WITH_STACK_FILE),
        Case(_updates(monitor=40, grace_period=0), WITH_STACK_FILE),
        # more tasks than half fail if all do
        Case(_updates(max_failure_ratio=0.5), WITH_STACK_FILE),
        # Swarm makes no rollback
        Case(_updates(failure_action="pause", rollback={"monitor": 5}), WITH_STACK_FILE),
        # without a health check, a failure is the end of the program
        Case(_updates(image=None, monitor=5), WITH_STACK_FILE),
        Case(_updates(healthcheck={"disable": True}, monitor=5), WITH_STACK_FILE),
        Case(_updates(healthcheck={"test": ["NONE"]}, monitor=5), WITH_STACK_FILE),
        # the time before a task is healthy does not count
        Case(_updates(healthcheck={"start_period": "10m"}), WITH_STACK_FILE),
    ],
    "stack.parity": [
        Case(_facts(), WITH_STACK_FILE),
        Case(StackFileFacts({}, {}), WITH_STACK_FILE),
        # a variable that is not a secret in the settings class may be a Docker secret
        Case(_passing({}, "API_TOKEN", "LOG_LEVEL"), WITH_STACK_FILE),
        # a file under /run/secrets in both
        Case(
            _facts(compose=ServiceSettings(SETTINGS, {"LOG_LEVEL": "info"}, SWARM.secrets)),
            WITH_STACK_FILE,
        ),
    ],
}
