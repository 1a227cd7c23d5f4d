"""Tests of the deployment plan."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.swarm.plan import Change, plan
from imageproof.swarm.stack_file import StackFile
from imageproof.swarm.state import read_stack
from tests.support.fake_swarm import NEW, OLD, Snapshot, fake_engine, task
from tests.support.sample_facts import SECRET, contract

# The service of `spec()`, as `docker compose config --format json` prints it.
SHOP: dict[str, Any] = {
    "image": OLD,
    "environment": {"LOG_LEVEL": "info"},
    "init": True,
    "read_only": True,
    "cap_drop": ["ALL"],
    "stop_grace_period": "10s",
    "secrets": {"api_token": "till_api_token_1"},
    "volumes": [
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": "1048576"}},
        {"type": "volume", "source": "data", "target": "/data"},
    ],
    "ports": [{"target": 8000, "published": "80", "mode": "host"}],
    "deploy": {
        "replicas": 1,
        "endpoint_mode": "dnsrr",
        "update_config": {"order": "start-first", "failure_action": "rollback"},
        "placement": {"constraints": ["node.labels.data == here"], "max_replicas_per_node": 1},
        "resources": {
            "limits": {"cpus": 1, "memory": "268435456", "pids": 64},
            "reservations": {"cpus": 0.1},
        },
    },
}


def _plan(**services: dict[str, Any]):
    """Plan the deployment of these services to a swarm that runs SHOP."""
    stack_file = StackFile(contract().root, "till", {}, (), services)
    return plan(stack_file, read_stack(fake_engine(Snapshot((task("t1"),))), "till"))


def test_equal_service_is_unchanged():
    assert [(p.service, p.kind) for p in _plan(shop=SHOP)] == [("shop", "unchanged")]


@pytest.mark.parametrize(
    ("change", "setting", "after"),
    [
        ({"image": NEW}, "image", NEW),
        ({"environment": {"LOG_LEVEL": "debug"}}, "environment LOG_LEVEL", "debug"),
        ({"environment": {}}, "environment LOG_LEVEL", ""),
        ({"secrets": {"api_token": "till_api_token_2"}}, "secret api_token", "till_api_token_2"),
        ({"read_only": False}, "read_only", ""),
        ({"cap_drop": []}, "cap_drop", ""),
        ({"stop_grace_period": "1m0s"}, "stop_grace_period", "60 s"),
        ({"ports": [{"target": 8000, "published": "81", "mode": "host"}]}, "port 8000", "81 host"),
        ({"volumes": SHOP["volumes"][1:]}, "mount /tmp", ""),
    ],
)
def test_each_changed_setting_is_listed(change, setting, after):
    (service,) = _plan(shop={**SHOP, **change})
    assert service.kind == "changed"
    assert [(c.setting, c.after) for c in service.changes] == [(setting, after)]


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("replicas", 3, Change("replicas", "1", "3")),
        ("endpoint_mode", "vip", Change("endpoint", "dnsrr", "vip")),
        ("placement", {}, None),
        ("update_config", {"order": "start-first"}, Change("on failure", "rollback", "pause")),
        (
            "resources",
            {
                "limits": {"cpus": 2, "memory": "268435456", "pids": 64},
                "reservations": {"cpus": 0.1},
            },
            Change("limits cpus", "1", "2"),
        ),
    ],
)
def test_each_changed_deploy_setting_is_listed(key, value, change):
    (service,) = _plan(shop={**SHOP, "deploy": {**SHOP["deploy"], key: value}})
    assert service.kind == "changed"
    if change:
        assert service.changes == (change,)


def test_new_and_removed_services_are_listed():
    assert [(p.service, p.kind) for p in _plan(till=SHOP)] == [("shop", "removed"), ("till", "new")]


def test_secret_variable_is_listed_without_its_value():
    environment = {"LOG_LEVEL": "info", "API_TOKEN": SECRET}
    (service,) = _plan(shop={**SHOP, "environment": environment})
    assert service.changes == (Change("environment API_TOKEN", "", "(hidden)"),)
