"""Tests of the state of the stack's containers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.stack.states import ServiceState, _parse_state, expected_containers


@pytest.mark.parametrize(
    ("status", "health", "ready", "failure"),
    [
        ("running", "healthy", True, None),
        ("running", None, True, None),
        ("running", "starting", False, None),
        ("created", None, False, None),
        ("running", "unhealthy", False, "health check fails"),
        ("exited", None, False, "exited"),
        ("exited", "healthy", False, "exited"),
        ("dead", None, False, "dead"),
        ("restarting", "starting", False, "restarting"),
    ],
)
def test_state_is_ready_or_failed_or_undecided(status, health, ready, failure):
    state = ServiceState("shop", "shop-1", status, health, 0, ())
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
        "shop", "shop-1", "running", "unhealthy", 3, ports, ("refused",), "f00", "noon"
    )
    assert state.run == "f00 noon"


@pytest.mark.parametrize("health", [None, {}])
def test_running_container_without_a_health_check_is_ready(health):
    state = _parse_state(_container(State={"Status": "running", "Health": health}))
    assert state.health is None
    assert state.ready


def test_each_service_has_as_many_containers_as_the_compose_file_says():
    services = {
        "one": {},
        "scaled": {"scale": 3},
        "replicated": {"deploy": {"replicas": 2}},
        "switched-off": {"scale": 0},
        "provider": {"provider": {"type": "model"}},
    }
    engine: Any = SimpleNamespace(compose_model=lambda *, interpolate: {"services": services})
    assert expected_containers(engine) == {
        "one": 1,
        "scaled": 3,
        "replicated": 2,
        "switched-off": 0,
    }


@pytest.mark.parametrize(
    "restart", [None, {}, {"Name": ""}, {"Name": "no"}, {"Name": "on-failure"}]
)
@pytest.mark.parametrize("health", [None, {"Status": "unhealthy"}])
def test_container_that_ended_with_0_and_is_not_restarted_is_completed(restart, health):
    ended = {"Status": "exited", "ExitCode": 0, "Health": health}
    state = _parse_state(_container(State=ended, HostConfig={"RestartPolicy": restart}))
    assert state.completed
    assert state.ready
    assert state.failure is None


@pytest.mark.parametrize(
    ("status", "exit_code", "restart"),
    [
        ("exited", 1, "no"),
        ("exited", 137, "on-failure"),
        ("exited", 0, "always"),
        ("exited", 0, "unless-stopped"),
        ("running", 0, "no"),
        ("created", 0, "no"),
        ("dead", 0, "no"),
    ],
)
def test_other_end_is_not_completed(status, exit_code, restart):
    ended = {"Status": status, "ExitCode": exit_code}
    state = _parse_state(_container(State=ended, HostConfig={"RestartPolicy": {"Name": restart}}))
    assert not state.completed
