"""stack.update-monitor: Swarm watches an update until a broken one can be noticed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.update_settings import (
        CheckTimes,
        ServiceUpdates,
        UpdateConfig,
        UpdateFacts,
    )

STEP_SECONDS = 5  # suggested values are multiples


@check(
    "stack.update-monitor",
    "updates",
    title="Swarm watches an update until a broken one can be noticed",
    why="Swarm counts a failure only within `monitor` after a new task became healthy. If the "
    "health check needs longer, the update is completed before the task fails, all tasks are "
    "replaced by broken ones, and nothing rolls them back.",
    remedy="Set `monitor` to more than (interval + timeout) x retries of the health check plus "
    "`stop_grace_period`, or make the health check faster.",
    reference="https://docs.docker.com/reference/compose-file/deploy/#update_config; "
    "https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def update_monitor(contract: Contract, facts: UpdateFacts) -> Iterator[Finding]:
    """Fail for updates, and rollbacks by Swarm, whose failure is not noticed or has no effect.

    Before a task is healthy, its failure counts however late it is, so `start_period` does not
    matter. The task has failed when its container has ended, hence `stop_grace_period`. Order,
    delay and parallelism do not matter either: each task is watched from its own start. A service
    without a health check is not judged here, but by `config.healthcheck`.
    """
    file = str(contract.stack)
    checked = list(_checked(facts))
    needed: dict[int, float] = {}  # seconds by line, which services may share
    for _, service, config, times in checked:
        if times:
            needed[config.line] = max(needed.get(config.line, 0), _needed(service, times))
    for name, service, config, times in checked:
        finding = _without_effect(name, config, file)
        if not finding and times and config.monitor <= _needed(service, times):
            finding = _too_short(name, service, config, times, needed[config.line], file)
        if finding:
            yield finding


def _checked(
    facts: UpdateFacts,
) -> Iterator[tuple[str, ServiceUpdates, UpdateConfig, CheckTimes | None]]:
    """Yield each setting that Swarm uses, with its service and the times of its health check."""
    for name, service in facts.services.items():
        times = service.check_times(facts.image_checks.get(name))
        yield name, service, service.update, times
        if service.update.failure_action == "rollback":  # else Swarm makes no rollback
            yield name, service, service.rollback, times


def _needed(service: ServiceUpdates, times: CheckTimes) -> float:
    """Return the seconds after which a task that fails its health check has failed, at worst."""
    return times.notices_within + service.grace_period


def _without_effect(name: str, config: UpdateConfig, file: str) -> Finding | None:
    """Return a finding if a failure that Swarm notices has no effect."""
    if config.failure_action == "continue":
        change, expected = (
            ("an update", "rollback") if config.key == "update_config" else ("a rollback", "pause")
        )
        return Finding(
            f"{name}: `failure_action: continue` of {config.key} goes on with {change} that fails, "
            f"expected `failure_action: {expected}` ({file}:{config.line})",
            file=file,
            measured="continue",
            bound=expected,
        )
    if config.max_failure_ratio >= 1:
        return Finding(
            f"{name}: `max_failure_ratio: {config.max_failure_ratio:g}` of {config.key} is never "
            "exceeded, even if every task fails; expected `max_failure_ratio: 0` "
            f"({file}:{config.line})",
            file=file,
            measured=config.max_failure_ratio,
            bound=0,
        )
    return None


def _too_short(
    name: str,
    service: ServiceUpdates,
    config: UpdateConfig,
    times: CheckTimes,
    needed_by_all: float,
    file: str,
) -> Finding:
    needed = _needed(service, times)
    suggested = (math.floor(needed_by_all / STEP_SECONDS) + 1) * STEP_SECONDS
    monitor = f"{config.monitor:g} s" + ("" if config.monitor_is_set else ", Swarm's default")
    return Finding(
        f"{name}: a task that fails its health check has failed after up to {needed:g} s "
        f"(({times.interval:g} s interval + {times.timeout:g} s timeout) x {times.retries} retries "
        f"+ {service.grace_period:g} s stop_grace_period), but the monitor of {config.key} is "
        f"{monitor}: write `monitor: {suggested}s` ({file}:{config.line})",
        file=file,
        measured=f"{config.monitor:g} s",
        bound=f"more than {needed:g} s",
    )
