"""Tests of the wait until the stack is ready, with a scripted engine and clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import ConfigurationError, StackFailed
from imageproof.stack import readiness
from imageproof.stack.readiness import describe_services, wait_until_ready
from imageproof.stack.states import ServiceState
from tests.support.sample_facts import contract, service_contract

LIMIT = 20


@pytest.fixture(autouse=True)
def _fast_clock(monkeypatch) -> None:
    """Let each reading of the clock advance it by 3 s."""
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(readiness, "pause", lambda _: None)


def _state(service: str = "shop", health: str | None = "healthy", **changes: Any) -> ServiceState:
    uptime = changes.pop("uptime", 1)
    started = datetime.now(UTC) - timedelta(seconds=uptime)
    state = {
        "container": f"{service}-1",
        "status": "running",
        "health": health,
        "restarts": 0,
        "ports": (),
        "id": service,
        "started_at": f"{started:%Y-%m-%dT%H:%M:%S}.123456789Z",
    }
    return ServiceState(service, **{**state, **changes})


@pytest.fixture
def wait(monkeypatch) -> Callable[..., list[ServiceState]]:
    """Return a function that waits while the stack is in these states, one a poll."""

    def run(
        *polls: Sequence[ServiceState],
        expected: Sequence[str] = ("shop",),
        before: Sequence[ServiceState] = (),
        exit_status: int = 1,
        event_status: str = "1",
        runs_again: bool = False,
    ) -> list[ServiceState]:
        pending = list(polls)
        monkeypatch.setattr(
            readiness, "states", lambda _: pending.pop(0) if len(pending) > 1 else pending[0]
        )
        model = {"services": {name: {} for name in expected}}
        monkeypatch.setattr(readiness, "EVENT_DELAY_SECONDS", 0)
        inspected = {"Running": runs_again, "Restarting": False, "ExitCode": exit_status}
        engine: Any = SimpleNamespace(
            compose_model=lambda *, interpolate: model,
            container_log=lambda name, lines: [f"{name} says no"],
            inspect=lambda *_: [{"State": inspected}],
            events=lambda *_: [{"Actor": {"Attributes": {"exitCode": event_status}}}],
        )
        health = {"notices_within": 9, "ready_within": LIMIT}
        project = contract(images={"shop": service_contract(health=health)})
        return wait_until_ready(project, engine, before, quiet=False)

    return run


def test_wait_ends_when_every_container_is_ready(wait):
    ready = [_state("api"), _state("shop")]
    assert wait([_state("api"), _state(health="starting")], ready) == ready


def test_service_without_a_container_is_a_failure(wait):
    """A stack with two of three services is not up, whoever removed the third."""
    with pytest.raises(StackFailed, match="too few containers") as caught:
        wait([_state("api"), _state("shop")], expected=("api", "shop", "worker"))
    assert "worker" in caught.value.action


def test_failure_ends_the_wait_with_log_and_health_output(wait):
    with pytest.raises(StackFailed, match="its health check fails") as caught:
        wait([_state("api"), _state(health="unhealthy", health_output=("refused",))])
    assert caught.value.action == "waiting for shop to become healthy"
    assert caught.value.tail == ("log: shop-1 says no", "health: refused")
    assert "docker compose up shop" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "broken",
    [{"health": "unhealthy"}, {"status": "restarting", "health": None, "restarts": 5}],
    ids=["unhealthy", "restarting"],
)
def test_older_container_may_recover_within_its_limit(wait, broken):
    """Its fault may have been removed: a container was unpaused, or its data were repaired."""
    old = _state(uptime=3600, **broken)
    ready = _state(restarts=old.restarts, uptime=3600)
    assert wait([old], [ready], before=[old]) == [ready]
    with pytest.raises(StackFailed, match=r"its health check fails|it is restarting"):
        wait([old], before=[old])


def test_failure_has_the_help_of_the_service(wait):
    with pytest.raises(StackFailed) as caught:
        wait([_state(status="exited", help="run `repair`")])
    assert (caught.value.hint or "").endswith("shows its log live; run `repair`")


def test_time_limit_of_the_contract_ends_the_wait(wait):
    with pytest.raises(StackFailed, match=f"not healthy after {LIMIT} s"):
        wait([_state(health="starting")])


def test_new_container_that_restarts_is_a_failure(wait):
    with pytest.raises(StackFailed, match="restarted 1 time"):
        wait([_state(restarts=1)])


def test_restart_long_ago_is_no_failure(wait):
    state = _state(restarts=1, uptime=3600)
    assert wait([state], before=[state]) == [state]


def test_container_that_restarts_again_during_the_wait_is_a_failure(wait):
    old = _state(restarts=7, uptime=2)
    with pytest.raises(StackFailed, match="restarted 1 time"):
        wait([old], [old], [_state(restarts=8, uptime=0)], before=[old])


def test_container_restarted_a_moment_ago_must_run_for_its_limit(wait):
    old, later = _state(restarts=7, uptime=2), _state(restarts=7, uptime=LIMIT + 1)
    assert wait([old], [old], [later], before=[old]) == [later]


def test_container_without_a_health_check_must_run_for_a_moment(wait, monkeypatch):
    clock = iter(range(100))  # 1 s each
    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(StackFailed, match="it is exited"):
        wait([_state(health=None, uptime=0)], [_state(health=None, status="exited")])


def test_clock_of_the_engine_that_is_ahead_only_makes_the_wait_longer(wait):
    state = _state(restarts=1, uptime=-3600)
    assert wait([state], before=[state]) == [state]


@pytest.mark.parametrize(
    ("current", "text"),
    [
        ([_state("a")], "1 service is running and healthy"),
        ([_state("a"), _state("a", container="a-2")], "1 service is running and healthy"),
        ([_state("a"), _state("b")], "2 services are running and healthy"),
        (
            [_state("a"), _state("b", None), _state("c", None)],
            "3 services are running, 1 of them healthy, 2 without a health check",
        ),
    ],
)
def test_services_are_counted_by_health(current, text):
    assert describe_services(current) == text


@pytest.mark.parametrize(
    ("options", "error_class"),
    [
        ({"exit_status": 2}, ConfigurationError),
        ({"exit_status": 78}, ConfigurationError),
        ({"exit_status": 0, "event_status": "2", "runs_again": True}, ConfigurationError),
        ({"exit_status": 1}, StackFailed),
        ({"exit_status": 137}, StackFailed),
        ({"exit_status": 0, "event_status": "1", "runs_again": True}, StackFailed),
    ],
)
def test_program_that_refuses_its_configuration_is_a_wrong_configuration(
    wait, options, error_class
):
    with pytest.raises(error_class) as caught:
        wait([_state(status="exited")], **options)
    assert type(caught.value) is error_class
    assert "log: shop-1 says no" in caught.value.tail
    assert caught.value.hint


def test_completed_services_are_counted_apart():
    done = _state("migrate", None, status="exited", completed=True)
    web, side = _state("web"), _state("side", None)
    assert describe_services([web, done]) == "1 service is running and healthy, 1 ended with 0"
    assert describe_services([web, side, done]) == (
        "2 services are running, 1 of them healthy, 1 without a health check, 1 ended with 0"
    )
    assert describe_services([done]) == "0 services are running, 1 ended with 0"
