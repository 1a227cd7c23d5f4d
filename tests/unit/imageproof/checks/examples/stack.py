"""Faults and near misses of the stack's file for a swarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imageproof.project.swarm_file import Described, StackFileFacts
from tests.support.sample_facts import SECRET, Case, contract

SETTINGS = {"init": "true", "the memory limit": "1000", "the mount /tmp": "tmpfs of 1 bytes"}
COMPOSE = Described(SETTINGS, {"LOG_LEVEL": "info", "API_TOKEN": ""})
SWARM = Described(SETTINGS, {"LOG_LEVEL": "info"}, frozenset({"API_TOKEN"}))
BY = contract(stack="stack.yaml")


def _facts(swarm: Described = SWARM, compose: Described = COMPOSE) -> StackFileFacts:
    return StackFileFacts({"shop": compose}, {"shop": swarm}, frozenset({"API_TOKEN"}))


def _setting(name: str, value: str) -> StackFileFacts:
    found = {**SETTINGS, name: value}
    return _facts(replace(SWARM, settings={n: v for n, v in found.items() if v}))


def _passing(environment: Mapping[str, str], *secrets: str) -> StackFileFacts:
    return _facts(replace(SWARM, environment=environment, secrets=frozenset(secrets)))


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "stack.parity": [
        (_setting("init", ""), "shop: init is not set, true in compose.yaml", BY),
        (_setting("cap_add", "CHOWN"), "shop: cap_add is CHOWN, not set in compose.yaml", BY),
        (_setting("the memory limit", "2000"), "the memory limit is 2000, 1000 in", BY),
        (_passing({}, "API_TOKEN"), "shop: LOG_LEVEL is not passed on", BY),
        (_passing({"LOG_LEVEL": "info"}), "shop: API_TOKEN is not passed on", BY),
        (_passing({"LOG_LEVEL": "debug"}, "API_TOKEN"), "LOG_LEVEL has the default 'debug'", BY),
        (_passing({"LOG_LEVEL": "info", "NEW": ""}, "API_TOKEN"), "NEW is passed on", BY),
        (_passing({"LOG_LEVEL": "info"}, "API_TOKEN", "OLD"), "OLD is passed on", BY),
        (_passing({"LOG_LEVEL": "info", "API_TOKEN": SECRET}), "API_TOKEN is a secret", BY),
        (replace(_facts(), swarm={}), "shop is a service of compose.yaml, and none of stack", BY),
        (replace(_facts(), compose={}), "shop is a service of stack.yaml, and none of", BY),
    ],
}

FINE: dict[str, list[Any]] = {
    "stack.parity": [
        Case(_facts(), BY),
        Case(StackFileFacts({}, {}), BY),
        # what the settings class does not keep secret may be a secret all the same
        Case(_passing({}, "API_TOKEN", "LOG_LEVEL"), BY),
        # a file under /run/secrets in both
        Case(_facts(compose=Described(SETTINGS, {"LOG_LEVEL": "info"}, SWARM.secrets)), BY),
    ],
}
