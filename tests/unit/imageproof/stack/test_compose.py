"""Tests of the stack's state, the wait for it, and its saved logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import StackFailed
from imageproof.stack import compose
from imageproof.stack.compose import ServiceState, _parse_state
from tests.support.sample_facts import contract, service_contract


def _service(status: str = "running", health: str | None = "healthy", restarts: int = 0):
    return ServiceState("shop", "shop-1", status, health, restarts, ())


@pytest.mark.parametrize(
    ("status", "health", "restarts", "ready", "failure"),
    [
        ("running", "healthy", 0, True, None),
        ("running", None, 0, True, None),
        ("running", "starting", 0, False, None),
        ("created", None, 0, False, None),
        ("running", "unhealthy", 0, False, "health check fails"),
        ("exited", None, 0, False, "exited"),
        ("exited", "healthy", 0, False, "exited"),
        ("dead", None, 0, False, "dead"),
        ("restarting", "starting", 0, False, "restarting"),
        ("running", "healthy", 2, True, "2 times"),
        ("running", "starting", 1, False, "1 times"),
    ],
)
def test_state_is_ready_or_failed_or_undecided(status, health, restarts, ready, failure):
    state = _service(status, health, restarts)
    assert state.ready is ready
    if failure is None:
        assert state.failure is None
    else:
        assert failure in (state.failure or "")


RUNNING = {"Status": "running", "Health": {"Status": "healthy", "Log": []}}


def _container(**changes: Any) -> dict[str, Any]:
    state = {"StartedAt": "noon", **changes.pop("State", RUNNING)}
    return {
        "Id": "f00",
        "State": state,
        "Name": "/shop-1",
        "Config": {"Labels": {"com.docker.compose.service": "shop"}},
        "NetworkSettings": {"Ports": {}},
        "RestartCount": 0,
        **changes,
    }


def test_state_is_read_from_docker_inspect():
    ports = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}], "9000/tcp": None}
    log = [{"Output": "old"}, {"Output": "refused\n\n"}]
    state = _parse_state(
        _container(
            NetworkSettings={"Ports": ports},
            State={"Status": "running", "Health": {"Status": "unhealthy", "Log": log}},
            RestartCount=3,
        )
    )
    ports = ("127.0.0.1:8001->8000/tcp",)
    assert state == ServiceState(
        "shop", "shop-1", "running", "unhealthy", 3, ports, ("refused",), "f00 noon"
    )


@pytest.mark.parametrize("health", [None, {}])
def test_running_container_without_a_health_check_is_ready(health):
    state = _parse_state(_container(State={"Status": "running", "Health": health}))
    assert state.health is None
    assert state.ready


def _engine(*containers: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        containers=lambda: list(containers), container_log=lambda name, lines: [f"{name} says no"]
    )


def test_wait_ends_when_every_container_is_ready():
    states = compose._wait_until_ready(contract(), _engine(_container(), _container(Name="/a-1")))
    assert [state.container for state in states] == ["a-1", "shop-1"]


def test_failure_ends_the_wait_with_log_and_health_output():
    unhealthy = {
        "Status": "running",
        "Health": {"Status": "unhealthy", "Log": [{"Output": "refused"}]},
    }
    with pytest.raises(StackFailed, match="its health check fails") as caught:
        compose._wait_until_ready(contract(), _engine(_container(), _container(State=unhealthy)))
    assert caught.value.action == "waiting for shop to become healthy"
    assert caught.value.tail == ("log: shop-1 says no", "health: refused")
    assert "docker compose up shop" in (caught.value.hint or "")


def test_time_limit_of_the_contract_ends_the_wait(monkeypatch):
    """Each reading of this clock advances it by 3 s."""
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(compose, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(compose, "pause", lambda _: None)
    starting = {"Status": "running", "Health": {"Status": "starting"}}
    project = contract(
        images={"x": service_contract(health={"notices_within": 9, "ready_within": 20})}
    )
    with pytest.raises(StackFailed, match="not healthy after 20 s"):
        compose._wait_until_ready(project, _engine(_container(State=starting)))
    assert next(clock) < 40
