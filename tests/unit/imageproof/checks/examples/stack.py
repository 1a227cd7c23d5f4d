"""Faults and near misses of the stack.* checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imageproof.project.swarm_file import ServiceSettings, StackFileFacts
from tests.support.sample_facts import SECRET, Case, contract

SETTINGS = {"init": "true", "the memory limit": "1000", "the mount /tmp": "tmpfs of 1 bytes"}
COMPOSE = ServiceSettings(SETTINGS, {"LOG_LEVEL": "info", "API_TOKEN": ""})
SWARM = ServiceSettings(SETTINGS, {"LOG_LEVEL": "info"}, frozenset({"API_TOKEN"}))
WITH_STACK_FILE = contract(stack="stack.yaml")


def _facts(swarm: ServiceSettings = SWARM, compose: ServiceSettings = COMPOSE) -> StackFileFacts:
    return StackFileFacts({"shop": compose}, {"shop": swarm}, frozenset({"API_TOKEN"}))


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
}

NEAR_MISSES: dict[str, list[Any]] = {
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
