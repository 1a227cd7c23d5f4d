"""Faults and near misses of a stack that was started to be tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.deep.stack_trial import TrialFacts

GOOD = TrialFacts(
    bound=39,
    unhealthy_after=35.2,
    healthy_after=9.9,
    waited=54,
    stopped_after=0.4,
    exit_status=0,
    orphans=3,
    zombies=0,
    given=("API_TOKEN",),
)


def _tried(**changes: Any) -> TrialFacts:
    return replace(GOOD, **changes)


UNKNOWN = TrialFacts(unknown="the copy did not start")

FAULTS: dict[str, list[tuple[Any, str]]] = {
    "run.health-notices": [
        (_tried(unhealthy_after=None), "still not unhealthy after 54 s"),
        (_tried(unhealthy_after=41.1), "after 41.1 s"),
        (_tried(healthy_after=None), "not healthy again"),
        (UNKNOWN, "did not start"),
    ],
    "run.stop": [
        (_tried(exit_status=137, stopped_after=10.2), "killed with status 137"),
        (_tried(exit_status=1), "status 1"),
        (_tried(exit_status=143, stopped_after=10.1), "10.1 s to end"),
        (_tried(exit_status=None), "not stopped"),
        (UNKNOWN, "did not start"),
    ],
    "run.reaps": [
        (_tried(zombies=1), "1 of 3"),
        (_tried(zombies=None), "no child"),
        (_tried(orphans=0), "no child"),
        (UNKNOWN, "did not start"),
    ],
    "secret.log": [
        (_tried(logged=("API_TOKEN",)), "API_TOKEN"),
        (UNKNOWN, "did not start"),
    ],
}

FINE: dict[str, list[Any]] = {
    "run.health-notices": [GOOD, _tried(unhealthy_after=41.0), _tried(healthy_after=54)],
    "run.stop": [GOOD, _tried(exit_status=143, stopped_after=10)],
    "run.reaps": [GOOD],
    "secret.log": [GOOD, _tried(given=())],
}
